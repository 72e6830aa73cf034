# HL-Net on XD-Violence: I3D features (RGB) of five crops and VGGish features of sound, the training of
# https://github.com/Roc-Ng/XDVioDet.
#   python tools/train.py configs/hlnet_xd.py
#   python tools/test.py configs/hlnet_xd.py wsanodet_mix2.pkl      (their checkpoint)
#   python tools/test.py configs/hlnet_xd.py wsanodet_mix2.pkl --cfg-options online=True
# The authors keep the weights of every second epoch; which of them they published is not known.
_base_ = [
    '_base_/models/hlnet.py',
    '_base_/datasets/xd_violence_features.py',
    '_base_/schedules/hlnet.py',
    'default_runtime.py',
]
feature_dir = 'i3d-features'
ann_file = 'rgb.list'
test_ann_file = 'rgb_test.list'
feature_dim = 1024
audio_dir = 'vggish-features'
audio_dim = 128
max_snippets = 200
resample = 'pick'
crops = 'separate'
balanced = False  # shuffled; half of the training videos are normal
batch_size = 128
ap_mode = 'trapezoid'
rank_by = 'scores'
save_best = 'frame/ap'

model = dict(feature_dim=feature_dim + audio_dim)
