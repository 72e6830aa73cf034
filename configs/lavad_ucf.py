# LAVAD on UCF-Crime: captions of frames, which a language model summarises and scores. See docs/vlm.md.
#   python tools/test.py configs/lavad_ucf.py none --dry-run
_base_ = [
    '_base_/models/lavad.py',
    '_base_/datasets/video_files.py',
    'default_runtime.py',
]
model = dict(classes=_base_.classes)
