# How a feature extraction cuts videos into snippets and frames into crops. Bases and experiments add the model.
image_size = 224  # pixels, height and width of a crop
snippet_len = 16  # frames
frames = 'middle'  # used per snippet: middle, first, all, or a number of evenly spaced frames to average
tail = 'drop'  # an incomplete last snippet: drop, pad, shift
resize = 256  # pixels, the shorter side; or (height, width)
interpolation = 'bilinear'
resizer = 'swscale'  # or 'opencv': resize after the conversion to RGB, as scripts based on OpenCV do
crops = 1  # 1, 5 or 10
crop_order = 'centre_first'  # VadCLIP's: 0 is the centre, 1-4 the corners, 5-9 the same mirrored; or 'torchvision'
precision = 'float32'  # bfloat16 or float16: faster on a GPU, slightly different features
blank = False  # control experiment: all pixels are zero

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
