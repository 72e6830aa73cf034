# VadCLIP on CLIP ViT-B/16 features. An experiment sets what depends on its data: classes, max_snippets, prompts.
_base_ = ['./clip_text_vit_b16.py']
window = 8
layers = 2
separation_weight = 0.1
score_branch = 'binary'

model = dict(
    type='VadCLIP',
    text=_base_.text_tower,
    embed_dim=_base_.embed_dim,
    window=window,
    layers=layers,
    heads=1,
    prompt_prefix=10,
    prompt_postfix=10,
    separation_weight=separation_weight,
    score_branch=score_branch,
    pretrained=_base_.pretrained,
)
