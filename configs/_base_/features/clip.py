# Snippet features of CLIP's vision tower, like VadCLIP's public features as far as known (docs/features.md).
pretrained = 'openai/clip-vit-base-patch16'  # path or Hugging Face id; None: random weights, to try the command
image_size = 224  # pixels, height and width of a crop
patch_size = 16
width = 768
layers = 12
heads = 12
hidden_act = 'quick_gelu'  # OpenAI's weights
embed_dim = 512  # of visual_projection, as VadCLIP's; None: the tower's own channels
normalize = False  # public CLIP features are not of length 1

snippet_len = 16  # frames
frames = 'middle'  # used per snippet: middle, first, all, or a number of evenly spaced frames to average
tail = 'drop'  # an incomplete last snippet: drop, pad, shift
resize = (256, 340)  # height and width in pixels, or the shorter side as one number
interpolation = 'bilinear'
resizer = 'swscale'  # or 'opencv': resize after the conversion to RGB, as scripts based on OpenCV do
crops = 1  # 1, 5 or 10
crop_order = 'centre_first'  # VadCLIP's: 0 is the centre, 1-4 the corners, 5-9 the same mirrored
precision = 'float32'  # bfloat16 or float16: faster on a GPU, slightly different features
blank = False  # control experiment: all pixels are zero

model = dict(
    type='SnippetFeatureExtractor',
    vision=dict(
        type='CLIPVisionTransformer',
        image_size=image_size,
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
features = dict(
    snippet_len=snippet_len,
    frames=frames,
    tail=tail,
    resize=resize,
    crop_size=image_size,
    interpolation=interpolation,
    resizer=resizer,
    crops=crops,
    crop_order=crop_order,
    precision=precision,
    blank=blank,
)
