# VadCLIP on CLIP ViT-B/16 features. An experiment sets what depends on its data: classes, max_snippets, prompts.
pretrained = 'openai/clip-vit-base-patch16'  # of the features; its text tower stays frozen
text_width = 512
text_layers = 12
text_heads = 8
text_act = 'quick_gelu'
embed_dim = 512
window = 8
layers = 2
separation_weight = 0.1
score_branch = 'binary'

model = dict(
    type='VadCLIP',
    text=dict(
        type='CLIPTextTransformer',
        width=text_width,
        layers=text_layers,
        heads=text_heads,
        hidden_act=text_act,
        long_context_length=None,
    ),
    embed_dim=embed_dim,
    window=window,
    layers=layers,
    heads=1,
    prompt_prefix=10,
    prompt_postfix=10,
    separation_weight=separation_weight,
    score_branch=score_branch,
    pretrained=pretrained,
)
