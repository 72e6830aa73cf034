# A vision-language model asked about UCF-Crime's videos: scores with reasons, without training. See docs/vlm.md.
#   python tools/test.py configs/vlm_plain_ucf.py none --dry-run
#   python tools/infer.py configs/vlm_plain_ucf.py none video.mp4 --prompt 'a person climbing a fence'
_base_ = [
    '_base_/models/vlm_plain.py',
    '_base_/datasets/video_files.py',
    'default_runtime.py',
]
model = dict(classes=_base_.classes)
