"""A model, a data set and a metric so small that a whole run takes a second."""

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from torch import nn
from torch.utils.data import Dataset

from vadlab.registry import DATASETS, METRICS, MODELS
from vadlab.structures import VADDataSample

CONFIG = """
_base_ = ['{root}/configs/default_runtime.py', '{root}/configs/_base_/schedules/fgclip.py']
length = 8
batch_size = 2
accumulative_counts = 1
max_epochs = 2
amp_dtype = None
save_best = 'toy/closeness'
poison = None
width = 4
lr_scale = 100.0
model = dict(type='ToyModel', width=width)
optim_wrapper = dict(paramwise_cfg=dict(groups=dict(_delete_=True,
    temperatures=dict(pattern=r'logit_scale', lr=lr_scale * 1e-4, weight_decay=0.0),
    rest=dict(pattern=r'.*'))))
train_dataloader = dict(batch_size=batch_size, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='ToyDataset', length=length, poison=poison))
val_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ToyDataset', length=3))
test_dataloader = val_dataloader
val_evaluator = dict(type='ToyMetric')
test_evaluator = val_evaluator
"""


@DATASETS.register_module(force=True)
class ToyDataset(Dataset):
    metainfo = {'classes': ('Normal', 'Fire')}

    def __init__(self, length, poison=None):
        self.length, self.poison = length, poison

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        noise = np.random.rand(4).astype(np.float32)  # noqa: NPY002 - as transforms do: from the process's generator
        inputs = torch.from_numpy(noise) + index
        if index == self.poison:
            inputs = inputs * float('nan')
        sample = VADDataSample(metainfo={'video_id': f'video{index:03d}', 'total_frames': 5})
        return {'inputs': inputs, 'data_samples': sample}


@MODELS.register_module(force=True)
class ToyModel(BaseModel):
    def __init__(self, width=4, data_preprocessor=None):
        super().__init__(data_preprocessor)
        self.layer = nn.Linear(4, width)
        self.dropout = nn.Dropout(0.3)
        self.logit_scale = nn.Parameter(torch.tensor(1.0))
        self.register_buffer('steps', torch.zeros(1, dtype=torch.long))
        self.register_buffer('batches', torch.zeros(1, dtype=torch.long))
        self.max_steps = None

    def before_train(self, max_steps):
        self.max_steps = max_steps

    def after_optimizer_step(self):
        self.steps += 1

    def forward(self, inputs, data_samples=None, mode='tensor'):
        outputs = self.layer(self.dropout(torch.stack(list(inputs))))
        if mode == 'loss':
            self.batches += 1
            return {'loss_a': outputs.square().mean() * 1e-2, 'loss_b': (self.logit_scale - 2).square()}
        if mode == 'predict':
            for sample, output in zip(data_samples, outputs, strict=True):
                sample.pred_logits = output.mean().expand(5)
                sample.pred_scores = sample.pred_logits.sigmoid()
            return data_samples
        return outputs


@METRICS.register_module(force=True)
class ToyMetric(BaseMetric):
    default_prefix = 'toy'
    protocol = {'toy/closeness': 'one over one plus the mean logit'}

    def process(self, data_batch, data_samples):
        self.results.extend(float(s['pred_logits'].abs().mean()) for s in data_samples)

    def compute_metrics(self, results):
        return {'closeness': 1 / (1 + float(np.mean(results)))}
