# PEL4VAD. An experiment sets what depends on its data: classes, feature_dim, and text features of classes (prompts).
prompt_classes = None  # classes of the file's rows, if they differ from the data set's
clip = None  # CLIP weights, if prompts are concepts
prompt_dim = 512
window = 9
decay = 0.6
offset = 0.2
norm_context = True
kernel_size = 9
temperature = 0.09
align_weight = 1.0
dropout = 0.1
train_on_padding = True  # as the authors' code; False masks padding in training, too

model = dict(
    type='PEL4VAD',
    prompt_classes=prompt_classes,
    clip=clip,
    prompt_dim=prompt_dim,
    window=window,
    decay=decay,
    offset=offset,
    norm_context=norm_context,
    kernel_size=kernel_size,
    temperature=temperature,
    align_weight=align_weight,
    dropout=dropout,
    train_on_padding=train_on_padding,
)
