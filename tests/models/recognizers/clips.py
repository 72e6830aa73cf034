"""Random clips in the format of the data preprocessor, and small recognizers for them."""

import torch
from mmengine.model import BaseDataPreprocessor

from vadlab.registry import MODELS
from vadlab.structures import AudioVisualDataSample

VIDEO = dict(type='Simple3DCNN', channels=(8, 16), strides=(2, 1))
AUDIO = dict(type='SpectrogramResNet', base_channels=8)
HEADS = dict(
    species=dict(type='ClassificationHead', classes=('deer', 'fox', 'owl')),
    behaviour=dict(type='ClassificationHead', classes=('eats', 'runs', 'sings', 'sleeps'), multi_label=True),
)


def recognizer(seed=0, **options):
    torch.manual_seed(seed)
    settings = dict(
        type='AudioVisualRecognizer',
        video_encoder=VIDEO,
        audio_encoder=AUDIO,
        fusion=dict(type='MBT', width=16, heads=2, bottlenecks=2),
        heads=HEADS,
        data_preprocessor=BaseDataPreprocessor(),
    )
    return MODELS.build({**settings, **options})


def clips(sound=(True, False, True), columns=70, lengths=None, seed=1):
    """``inputs`` of a batch: 4 frames of 16 pixels, and 32 bands for clips with sound."""
    generator = torch.Generator().manual_seed(seed)
    b, a = len(sound), sum(sound)
    return dict(
        video=torch.randn(b, 4, 3, 16, 16, generator=generator),
        video_mask=torch.ones(b, dtype=torch.bool),
        audio=torch.randn(a, 1, 32, columns, generator=generator),
        audio_mask=torch.tensor(sound),
        audio_lengths=torch.full((a,), columns) if lengths is None else torch.tensor(lengths),
    )


def samples(b=3):
    found = []
    for i in range(b):
        sample = AudioVisualDataSample(metainfo=dict(clip_id=f'clip{i}'))
        sample.gt_labels = dict(species=torch.tensor(i % 3), behaviour=torch.eye(4)[i % 4] + torch.eye(4)[3])
        sample.gt_labels['behaviour'].clamp_(max=1)
        found.append(sample)
    return found
