# CLIP ViT-B/16's text tower, for methods on features of its vision tower. The bases of these methods inherit from it.
pretrained = 'openai/clip-vit-base-patch16'  # of the features; its text tower stays frozen
text_width = 512
text_layers = 12
text_heads = 8
text_act = 'quick_gelu'
embed_dim = 512

text_tower = dict(
    type='CLIPTextTransformer',
    width=text_width,
    layers=text_layers,
    heads=text_heads,
    hidden_act=text_act,
    long_context_length=None,
)
