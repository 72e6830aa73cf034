"""Clips whose species is a colour and whose behaviour is a band of sound, and a recognizer that learns it soon."""

import numpy as np
import torch
from torch.utils.data import Dataset

from vadlab.registry import DATASETS
from vadlab.structures import AudioVisualDataSample

CLASSES = {'species': ['deer', 'fox'], 'behaviour': ['sings', 'sleeps']}
METADATA = 'clip_id,video,split,species,behaviour\n' + ''.join(
    f'c{i},c{i}.mp4,train,{CLASSES["species"][i % 2]},{CLASSES["behaviour"][i // 2 % 2]}\n' for i in range(8)
)
CONFIG = """
_base_ = ['{root}/configs/_base_/models/mbt_videomae_resnet18.py', '{root}/configs/default_runtime.py']
data_root = '{data}'
pretrained_video = None
pretrained_audio = None
image_size = 16
num_frames = 4
with_cp = False
fusion_width = 64
save_best = 'mean/top1'
tensorboard = False
max_epochs = 2
lr = 3e-3
model = dict(
    data_preprocessor=dict(type='AudioVisualDataPreprocessor', audio_mean=0.0, audio_std=1.0),
    video_encoder=dict(patch_size=8, width=64, layers=1, heads=4),
    audio_encoder=dict(base_channels=8),
    fallback=dict(type='Simple3DCNN', channels=(8, 16), strides=(2, 1)),
)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=lr))
train_dataloader = dict(batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='pseudo_collate'), dataset=dict(type='ToyClips', length=32))
val_dataloader = dict(batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'), dataset=dict(type='ToyClips', length=9, first=100))
test_dataloader = val_dataloader
val_evaluator = dict(type='ClassificationMetric')
test_evaluator = val_evaluator
"""


@DATASETS.register_module(force=True)
class ToyClips(Dataset):
    metainfo = {'classes': CLASSES}

    def __init__(self, length, first=0):
        self.length, self.first = length, first

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        number = index + self.first
        noise = np.random.RandomState(number)
        species, behaviour, silent = number % 2, number // 2 % 2, number % 5 == 4
        video = noise.randint(0, 100, (4, 3, 16, 16)).astype(np.uint8)
        video[:, species] += 100
        mel = noise.randn(1, 32, 40 + number % 3).astype(np.float32)
        mel[:, 16 * behaviour : 16 * behaviour + 16] += 3
        sample = AudioVisualDataSample(
            metainfo=dict(clip_id=f'clip{number:03d}', has_audio=not silent, num_classes=dict.fromkeys(CLASSES, 2))
        )
        sample.gt_labels = dict(species=torch.tensor(species), behaviour=torch.tensor(behaviour))
        audio = None if silent else torch.from_numpy(mel)
        return dict(inputs=dict(video=torch.from_numpy(video), audio=audio), data_samples=sample)


def write_data(folder):
    """The metadata, where the config looks for it."""
    path = folder / 'raw' / 'metadata' / 'train.csv'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(METADATA)
    return folder
