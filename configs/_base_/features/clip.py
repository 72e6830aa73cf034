# Snippet features of CLIP's vision tower, like VadCLIP's public features as far as known (docs/features.md).
_base_ = ['./snippets.py']
pretrained = 'openai/clip-vit-base-patch16'  # path or Hugging Face id; None: random weights, to try the command
patch_size = 16
width = 768
layers = 12
heads = 12
hidden_act = 'quick_gelu'  # OpenAI's weights
embed_dim = 512  # of visual_projection, as VadCLIP's; None: the tower's own channels
normalize = False  # public CLIP features are not of length 1
resize = (256, 340)  # height and width in pixels, or the shorter side as one number

model = dict(
    type='SnippetFeatureExtractor',
    vision=dict(
        type='CLIPVisionTransformer',
        image_size=_base_.image_size,
        patch_size=patch_size,
        width=width,
        layers=layers,
        heads=heads,
        hidden_act=hidden_act,
    ),
    embed_dim=embed_dim,
    pretrained=pretrained,
    normalize=normalize,
)
