# MBT on MammAlps' first benchmark: activity (one label), actions (several labels) and species of animals.
#   D=data/mammalps
#   python tools/import_wildlife.py mammalps $D/mammalps_v1 --out $D/metadata.csv
#   python tools/prepare_wildlife.py $D/metadata.csv $D/mammalps_v1 --out $D/processed --heads behaviour actions species
#   python tools/train.py configs/mbt_mammalps.py
_base_ = ['mbt_wildlife.py']
data_root = 'data/mammalps'
heads = ('behaviour', 'actions', 'species')  # the order of MammAlps' results file
multi_label = ('actions',)
results_tsv = None  # path of a file for MammAlps' own evaluation, written in testing

test_evaluator = dict(type='ClassificationMetric', heads=heads, tsv=results_tsv)
