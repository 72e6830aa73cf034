# Snippet features of CLIP's vision tower, as VadCLIP's public ones are made as far as that is known (docs/features.md).
pretrained = 'openai/clip-vit-base-patch16'  # path or Hugging Face id; None draws random weights, to try the command
image_size = 224  # pixels, height and width of a crop
patch_size = 16
width = 768
layers = 12
heads = 12
hidden_act = 'quick_gelu'  # OpenAI's weights
embed_dim = 512  # through visual_projection, as VadCLIP's; None: the tower's own channels
normalize = False  # public CLIP features are not of length 1

snippet_len = 16  # frames
frames = 'middle'  # of a snippet: middle, first, all, or a number of evenly spaced ones, whose features are averaged
tail = 'drop'  # a last snippet that the video does not fill: drop, pad, shift
resize = (256, 340)  # height and width in pixels, or the shorter side as one number
interpolation = 'bilinear'
resizer = 'swscale'  # opencv: scale after converting, as scripts that read videos with OpenCV do
crops = 1  # 1, 5 or 10
crop_order = 'centre_first'  # VadCLIP's: 0 the centre, 1-4 the corners, 5-9 the same mirrored
precision = 'float32'  # bfloat16 or float16: faster on a GPU, other digits
blank = False  # zeroed pixels: the control

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
