# VideoMAE on frames, ResNet-18 on log-mel spectrograms, a bottleneck transformer, and one head per label column.
# Another encoder: model = dict(video_encoder=dict(_delete_=True, type='Simple3DCNN')).
data_root = 'data'
ann_file = 'raw/metadata/train.csv'
train_metadata = f'{data_root}/{ann_file}'  # classes are the labels in this file
heads = ('species', 'behaviour')  # columns of the metadata
multi_label = ()  # heads with several labels per clip; True: all heads
class_weights = None  # 'inverse' or 'effective': larger weights for rare classes
label_smoothing = 0.0
head_dropout = 0.0

pretrained_video = 'MCG-NJU/videomae-base-finetuned-kinetics'  # Hugging Face id or folder; None: random weights
pretrained_audio = 'timm/resnet18.tv_in1k'  # Hugging Face id or file, with torchvision's names; None: random weights
missing_weights = 'stop'  # or 'fall_back': a small 3-D CNN and random weights, with a warning
frozen_video = False  # freeze the video encoder
frozen_audio = False
pooled = False  # one vector per modality instead of its tokens
with_cp = True  # activation checkpointing of VideoMAE
num_frames = 16
image_size = 224  # pixels; height and width

fusion_width = 512
fusion_layers = 2
fusion_layer = 0  # first layer that exchanges information between modalities
bottlenecks = 4  # tokens for this exchange
readout = 'cls'  # or 'mean'; with pooled encoders, each modality has a single token
modalities = ('video', 'audio')  # one alone trains or tests without the other

several_labels = heads if multi_label is True else multi_label or ()
model = dict(
    type='AudioVisualRecognizer',
    video_encoder=dict(
        type='VideoMAE',
        pretrained=pretrained_video,
        image_size=image_size,
        num_frames=num_frames,
        pooled=pooled,
        frozen=frozen_video,
        with_cp=with_cp,
    ),
    audio_encoder=dict(
        type='SpectrogramResNet', depth=18, pretrained=pretrained_audio, pooled=pooled, frozen=frozen_audio
    ),
    fusion=dict(
        type='MBT',
        width=fusion_width,
        layers=fusion_layers,
        heads=8,
        bottlenecks=bottlenecks,
        fusion_layer=fusion_layer,
        readout=readout,
    ),
    heads={
        name: dict(
            type='ClassificationHead',
            metadata=train_metadata,
            multi_label=name in several_labels,
            class_weights=class_weights,
            label_smoothing=label_smoothing,
            dropout=head_dropout,
        )
        for name in ((heads,) if isinstance(heads, str) else heads)
    },
    modalities=modalities,
    missing_weights=missing_weights,
)
# A batch without sound gives the audio branch no gradient.
model_wrapper_cfg = dict(type='MMDistributedDataParallel', broadcast_buffers=False, find_unused_parameters=True)
