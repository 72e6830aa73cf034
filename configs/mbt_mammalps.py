# MBT on MammAlps' first benchmark: what animals do (one activity, several actions), and of which species they are.
#   python tools/import_wildlife.py mammalps data/mammalps/raw/mammalps_v1 --out data/mammalps/metadata.csv
#   python tools/prepare_wildlife.py data/mammalps/metadata.csv data/mammalps/raw/mammalps_v1 --out data/mammalps/processed
#   python tools/train.py configs/mbt_mammalps.py
_base_ = ['mbt_wildlife.py']
data_root = 'data/mammalps'
heads = ('behaviour', 'actions', 'species')  # the order of MammAlps' results file
multi_label = ('actions',)
results_tsv = None  # a file: written in testing, for MammAlps' own evaluation

test_evaluator = dict(type='ClassificationMetric', heads=heads, tsv=results_tsv)
