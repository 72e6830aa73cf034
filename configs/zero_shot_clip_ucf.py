# Zero-shot CLIP on UCF-Crime's CLIP ViT-B/16 features: the floor that every method must beat. Nothing is trained.
#   python tools/test.py configs/zero_shot_clip_ucf.py none
_base_ = ['_base_/datasets/ucf_crime_features.py', 'default_runtime.py']
segment_mode = 'vadclip'

pretrained = 'openai/clip-vit-base-patch16'  # of the features
text_width = 512
text_layers = 12
text_heads = 8
text_act = 'quick_gelu'
embed_dim = 512
score_head = dict(score_window=1)  # prompts and templates too; those of PromptScoringHead by default

model = dict(
    type='ZeroShotCLIP',
    classes=_base_.classes,
    text=dict(
        type='CLIPTextTransformer',
        width=text_width,
        layers=text_layers,
        heads=text_heads,
        hidden_act=text_act,
        long_context_length=None,
    ),
    embed_dim=embed_dim,
    score_head=score_head,
    pretrained=pretrained,
)
test_cfg = dict()
