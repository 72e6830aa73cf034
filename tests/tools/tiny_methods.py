"""Every method that can be trained, as an experiment of seconds, with all that it needs, in one folder."""

from pathlib import Path

import numpy as np
from mmengine.model import BaseModel

from vadlab.registry import METRICS, MODELS
from vadlab.utils.setup_env import register_all_modules

from . import tiny_features, tiny_ucf, toy_captions, toy_clips

ROOT = Path(__file__).parents[2]
SNIPPETS = """
_base_ = ['{root}/configs/{name}_demo.py']
data_root = '{data}'
feature_dim = 8
batch_size = 4
tensorboard = False
{more}
"""
TEXT_TOWER = """
pretrained = None
embed_dim = 8
text_width = 16
text_layers = 1
text_heads = 2
max_snippets = 16
"""
#: What a method's config needs beyond SNIPPETS.
MORE = {
    'mil': 'model = dict(hidden_dims=(8, 4))',
    'rtfm': 'model = dict(hidden_dims=(8, 4))',
    'urdmu': 'width = 8\nmax_snippets = 8',
    'vadclip': TEXT_TOWER + "model = dict(score_branch='aligned')",
    'dsanet': TEXT_TOWER + 'decoder_layers = 1\nmodel = dict(adapted_blocks=1)',
    'pel4vad': "prompts = '{data}/prompts.npy'\nprompt_dim = 8\nclasses = ('Normal', 'Fighting')",
}
CLIP = """
_base_ = ['{root}/configs/clip_synthetic_pretrain.py']
steps = 2
batch_size = 4
num_workers = 0
image_size = 32
tensorboard = False
model = dict(
    embed_dim=8, vision=dict(patch_size=16, width=16, layers=1, heads=2), text=dict(width=16, layers=1, heads=2)
)
train_cfg = dict(by_epoch=True, max_epochs=2)
val_dataloader = dict(
    dataset=dict(type='SyntheticFrames', size=6, split='val', image_size=image_size),
    sampler=dict(type='DefaultSampler', shuffle=False),
    batch_size=2, num_workers=0, collate_fn=dict(type='pseudo_collate'),
)
test_dataloader = val_dataloader
val_cfg = dict()
test_cfg = dict()
val_evaluator = dict(type='RetrievalMetric', items=['video'])
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(by_epoch=True))
"""
STUDENT = """
_base_ = ['{plain}']
model = dict(
    type='DistilledRecognizer',
    feature_weight=1.0,
    teacher_width=64,
    teacher=dict(config='{plain}', checkpoint='{teacher}'),
)
"""

#: Experiment: the registered method that it trains.
METHODS = {
    'mil': 'MILRanking',
    'rtfm': 'RTFM',
    'urdmu': 'URDMU',
    'vadclip': 'VadCLIP',
    'dsanet': 'DSANet',
    'pel4vad': 'PEL4VAD',
    'fgclip': 'FGCLIP',
    'clip': 'CLIP',
    'fsgr': 'FSGR',
    'fsgr_memory': 'FSGR',
    'fsgr_rewards': 'SelfCriticalFSGR',
    'recognizer': 'AudioVisualRecognizer',
    'distilled': 'DistilledRecognizer',
}
#: Registered methods that have nothing to train.
UNTRAINED = {'ZeroShotCLIP', 'CaptionEnsemble'}


def registered_methods():
    """Names of all of VADLab's models that a Runner can train or test."""
    register_all_modules()
    return {
        name
        for name, kind in MODELS.module_dict.items()
        if kind.__module__.startswith('vadlab.') and issubclass(kind, BaseModel)
    }


def registered_metrics():
    """Names of all of VADLab's metrics."""
    register_all_modules()
    return {name for name, kind in METRICS.module_dict.items() if kind.__module__.startswith('vadlab.')}


def write_experiment(name, folder, train):
    """The config of an experiment of :data:`METHODS`, its data beside it; what it goes on from is trained first."""
    data = folder / 'data'
    data.mkdir(parents=True, exist_ok=True)
    path = folder / f'tiny_{name}.py'
    if name in MORE:
        tiny_features.write_data(data)
        np.save(data / 'prompts.npy', np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32))
        text = SNIPPETS.replace('{more}', MORE[name]).format(root=ROOT, data=data, name=name)
    elif name == 'fgclip':
        tiny_ucf.write_data(data)
        text = tiny_ucf.CONFIG.format(root=ROOT, data=data)
    elif name == 'clip':
        text = CLIP.format(root=ROOT)
    elif name.startswith('fsgr'):
        toy_captions.write_data(data)
        more = {
            'fsgr': '',
            'fsgr_memory': 'prototypical_memory = True',
            'fsgr_rewards': f"load_from = '{folder}/base/epoch_1.pth'\nfrequencies_dir = '{folder}/frequencies'",
        }[name]
        if name == 'fsgr_rewards':
            base = folder / 'tiny_base.py'
            base.write_text(toy_captions.config_text(data))
            train([str(base), '--work-dir', str(folder / 'base')])
        text = toy_captions.config_text(data, 'fsgr_coco_scst' if name == 'fsgr_rewards' else 'fsgr_coco', more)
        if name == 'fsgr_rewards':
            text = text.replace('max_epochs = 1\n', '')
    else:
        plain = path if name == 'recognizer' else folder / 'tiny_plain.py'
        text = toy_clips.CONFIG.format(root=ROOT, data=toy_clips.write_data(data))
        if name == 'distilled':
            plain.write_text(text)
            train([str(plain), '--work-dir', str(folder / 'teacher'), '--cfg-options', 'max_epochs=1'])
            text = STUDENT.format(plain=plain, teacher=folder / 'teacher' / 'epoch_1.pth')
    path.write_text(text)
    return path
