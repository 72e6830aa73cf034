# Zero-shot CLIP on CLIP ViT-B/16 features. An experiment sets what depends on its data: classes and prompts.
pretrained = 'openai/clip-vit-base-patch16'  # of the features
text_width = 512
text_layers = 12
text_heads = 8
text_act = 'quick_gelu'
embed_dim = 512

model = dict(
    type='ZeroShotCLIP',
    text=dict(
        type='CLIPTextTransformer',
        width=text_width,
        layers=text_layers,
        heads=text_heads,
        hidden_act=text_act,
        long_context_length=None,
    ),
    embed_dim=embed_dim,
    pretrained=pretrained,
)
