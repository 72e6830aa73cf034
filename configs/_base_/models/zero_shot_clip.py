# Zero-shot CLIP on CLIP ViT-B/16 features. An experiment sets what depends on its data: classes and prompts.
_base_ = ['./clip_text_vit_b16.py']

model = dict(
    type='ZeroShotCLIP',
    text=_base_.text_tower,
    embed_dim=_base_.embed_dim,
    pretrained=_base_.pretrained,
)
