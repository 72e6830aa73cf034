# DSANet on CLIP ViT-B/16 features. An experiment sets what depends on its data: classes, max_snippets, prompts.
pretrained = 'openai/clip-vit-base-patch16'  # of the features; its text tower stays frozen
text_width = 512
text_layers = 12
text_heads = 8
text_act = 'quick_gelu'
embed_dim = 512
window = 8
layers = 2
adapted_blocks = 3
adapter_weight = 0.1
decoder_layers = 8
align_weight = 1.1
class_temperature = 5.0

model = dict(
    type='DSANet',
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
    adapted_blocks=adapted_blocks,
    adapter_weight=adapter_weight,
    prototypes=16,
    normal_share=0.8,
    decoder_layers=decoder_layers,
    align_weight=align_weight,
    class_temperature=class_temperature,
    pretrained=pretrained,
)
