# DSANet on CLIP ViT-B/16 features. An experiment sets what depends on its data: classes, max_snippets, prompts.
_base_ = ['./clip_text_vit_b16.py']
window = 8
layers = 2
adapted_blocks = 3
adapter_weight = 0.1
decoder_layers = 8
align_weight = 1.1
class_temperature = 5.0

model = dict(
    type='DSANet',
    text=_base_.text_tower,
    embed_dim=_base_.embed_dim,
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
    pretrained=_base_.pretrained,
)
