# Zero-shot CLIP on XD-Violence's CLIP ViT-B/16 features: the baseline for all methods. Nothing is trained.
#   python tools/test.py configs/zero_shot_clip_xd.py none
_base_ = [
    '_base_/models/zero_shot_clip.py',
    '_base_/datasets/xd_violence_features.py',
    'default_runtime.py',
]
segment_mode = 'vadclip'

model = dict(
    classes=_base_.classes,
    score_head=dict(
        prompts=dict(
            A=['people talking', 'an ordinary scene where nothing happens'],
            B1=['people fighting'],
            B2=['a person shooting a gun'],
            B4=['a riot in the street'],
            B5=['a person abusing another'],
            B6=['a car accident'],
            G=['an explosion'],
        )
    ),
)
test_cfg = dict()
