# MBT on MammAlps' first benchmark: what animals do (one activity, several actions), and of which species they are.
#   D=data/mammalps
#   python tools/import_wildlife.py mammalps $D/mammalps_v1 --out $D/metadata.csv
#   python tools/prepare_wildlife.py $D/metadata.csv $D/mammalps_v1 --out $D/processed --heads behaviour actions species
#   python tools/train.py configs/mbt_mammalps.py
_base_ = ['mbt_wildlife.py']
data_root = 'data/mammalps'
heads = ('behaviour', 'actions', 'species')  # the order of MammAlps' results file
multi_label = ('actions',)
results_tsv = None  # a file: written in testing, for MammAlps' own evaluation

test_evaluator = dict(type='ClassificationMetric', heads=heads, tsv=results_tsv)
