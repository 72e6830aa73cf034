# VadCLIP on UCF-Crime: CLIP ViT-B/16 features, the training of https://github.com/nwpu-zxr/VadCLIP.
#   python tools/train.py configs/vadclip_ucf.py
#   python tools/test.py configs/vadclip_ucf.py model_ucf.pth      (their checkpoint)
# The authors tested every 10 iterations, kept the best by AUC on the test videos, and started every epoch from it:
# their 88.02 was selected on the test set. Here each epoch continues from the previous one.
_base_ = [
    '_base_/models/vadclip.py',
    '_base_/datasets/ucf_crime_features.py',
    '_base_/schedules/vadclip.py',
    'default_runtime.py',
]
crops = 'separate'  # each of the ten is a training sample; the public test list has crop 5
max_snippets = 256
resample = 'uniform'
batch_size = 128  # 64 normal, 64 abnormal
epoch_length = 'min'
rank_by = 'scores'
segment_mode = 'vadclip'

model = dict(classes=_base_.classes, max_snippets=max_snippets)
