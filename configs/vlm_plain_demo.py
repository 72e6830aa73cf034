# A vision-language model asked about the synthetic videos of `make demo`. See docs/vlm.md.
#   python tools/test.py configs/vlm_plain_demo.py none --dry-run
_base_ = ['vlm_plain_ucf.py']
data_root = 'data/demo'
classes = ('Normal', 'Arson', 'Explosion', 'Fighting', 'RoadAccidents', 'Robbery', 'Vandalism')  # the simulator's
span = 64
