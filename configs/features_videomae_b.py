# 768 channels per snippet: VideoMAE-B encodes all 16 frames at once.
pretrained = 'MCG-NJU/videomae-base-finetuned-kinetics'  # id or folder; None: random weights, to try the command
image_size = 224  # pixels, height and width of a crop
snippet_len = 16  # frames
tail = 'drop'  # an incomplete last snippet: drop, pad, shift
resize = 256  # pixels, the shorter side; or (height, width)
interpolation = 'bilinear'
resizer = 'swscale'
crops = 1  # 1, 5 or 10
crop_order = 'torchvision'
precision = 'float32'
blank = False  # control experiment: all pixels are zero

model = dict(
    type='SnippetFeatureExtractor',
    vision=dict(type='VideoMAE', pretrained=pretrained, image_size=image_size, num_frames=snippet_len),
    mean=(123.675, 116.28, 103.53),
    std=(58.395, 57.12, 57.375),
)
features = dict(
    snippet_len=snippet_len,
    frames='all',
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
