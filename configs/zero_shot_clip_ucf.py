# Zero-shot CLIP on UCF-Crime's CLIP ViT-B/16 features: the baseline for all methods. Nothing is trained.
#   python tools/test.py configs/zero_shot_clip_ucf.py none
_base_ = [
    '_base_/models/zero_shot_clip.py',
    '_base_/datasets/ucf_crime_features.py',
    'default_runtime.py',
]
segment_mode = 'vadclip'

score_head = dict(score_window=1)  # also for prompts and templates; by default those of PromptScoringHead

model = dict(classes=_base_.classes, score_head=score_head)
test_cfg = dict()
