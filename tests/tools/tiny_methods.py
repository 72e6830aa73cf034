"""Every method that can be trained, as an experiment of seconds, with all that it needs, in one folder."""

from pathlib import Path

import cv2
import numpy as np
import yaml
from mmengine.model import BaseModel

from vadlab.registry import METRICS, MODELS
from vadlab.utils.config import read_config
from vadlab.utils.setup_env import register_all_modules

from . import tiny_features, tiny_ucf, toy_captions, toy_clips

ROOT = Path(__file__).parents[2]
# Settings that make a demo's config an experiment of seconds, for any method of a task.
SNIPPETS = """
_base_ = ['{root}/{demo}']
data_root = '{data}'
feature_dir = 'features'
ann_file = 'train.txt'
test_ann_file = 'test.txt'
temporal_ann_file = 'Temporal_Anomaly_Annotation.txt'
frames_file = 'frames.json'
interval_mode = 'half_open'
feature_dim = 64
batch_size = 4
num_workers = 0
tensorboard = False
{more}
"""
VIDEOS = """
_base_ = ['{root}/{demo}']
data_root = '{data}'
cache_dir = None
ann_file = 'train.json'
val_ann_file = 'test.json'
test_ann_file = 'test.json'
temporal_ann_file = None
val_temporal_ann_file = None
num_frames = 4
min_region_frames = 2
image_size = 32
batch_size = 2
num_workers = 0
tensorboard = False
"""
CAPTIONS = """
_base_ = ['{root}/{demo}']
data_root = '{data}'
ann_file = 'captions.json'
train_splits = ('train',)
vocab_file = '{data}/vocab.json'
codebook = '{data}/codebook.safetensors'
image_size = 32
captions_per_image = 2
batch_size = 6
num_workers = 0
max_words = 8
max_len = 12
tensorboard = False
"""
CLIPS = """
_base_ = ['{root}/{demo}']
data_root = '{data}'
image_size = 16
num_frames = 4
tensorboard = False
data_preprocessor = dict(_delete_=True, type='AudioVisualDataPreprocessor', audio_mean=0.0, audio_std=1.0)
train_dataloader = dict(_delete_=True, batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='pseudo_collate'), dataset=dict(type='ToyClips', length=32))
val_dataloader = dict(_delete_=True, batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'), dataset=dict(type='ToyClips', length=9, first=100))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='ClassificationMetric')
test_evaluator = val_evaluator
"""
WINDOWS = """
_base_ = ['{root}/{demo}']
data_root = '{data}'
image_size = 16
width = 8
batch_size = 2
num_workers = 0
tensorboard = False
"""
CLIP = """
_base_ = ['{root}/configs/clip_everyday_pretrain.py']
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


def _write_snippets(folder):
    return tiny_features.write_data(folder, dim=64)


def _write_clips(folder):
    """Clips of 18 frames as folders of pictures: noise around grey, and in anomalous frames a white square."""
    random = np.random.default_rng(0)
    for split, names in (('train', 'ab'), ('test', 'abc')):
        for name in names:  # test_c is normal
            place = folder / split / f'{split}_{name}'
            place.mkdir(parents=True)
            for i in range(18):
                picture = random.integers(90, 110, (16, 16, 3)).astype(np.uint8)
                if split == 'test' and name != 'c' and i >= 10:
                    picture[4:10, 4:10] = 255
                cv2.imwrite(str(place / f'{i:03d}.png'), picture)
            if split == 'test':
                (folder / 'truth').mkdir(exist_ok=True)
                np.save(folder / 'truth' / f'{place.name}.npy', (np.arange(18) >= 10) & (name != 'c'))
    return folder


#: Task: the settings above, and what writes the data.
TASKS = {
    'weakly supervised video anomaly detection': (SNIPPETS, _write_snippets),
    'video anomaly detection': (VIDEOS, tiny_ucf.write_data),
    'image captioning': (CAPTIONS, lambda folder: toy_captions.write_data(folder, dim=64)),
    'audio-visual wildlife behaviour': (CLIPS, toy_clips.write_data),
    'one-class video anomaly detection': (WINDOWS, _write_clips),
}
#: Methods with other data than most of their task.
OTHER_DATA = {'MULDE': (SNIPPETS, _write_snippets)}
INDEX = yaml.safe_load((ROOT / 'configs/model-index.yml').read_text(encoding='utf-8'))
#: Registered methods that are fitted, without gradients: tests/tools/test_fit.py and test_learn_questions.py.
FITTED = {'AttributeDetector', 'ExemplarDetector', 'VERA'}
#: Metrics that only these use, and those of methods that ask a model: tests/tools/test_ask_vlm.py.
FITTED_METRICS = {'OneClassMetric', 'PixelLevelMetric', 'AnswerMetric'}
#: Experiment: the entry of a method of the index that has something to train.
ENTRIES = {
    Path(e['demo']).stem.removesuffix('_demo'): e
    for e in INDEX
    if e['class'] not in FITTED and read_config(ROOT / e['demo']).get('train_cfg')
}
#: Experiments beside those of the index: variants, and what a method is built from. The registered class of each.
VARIANTS = {
    'vadclip_aligned': 'VadCLIP',
    'clip': 'CLIP',
    'fsgr_memory': 'FSGR',
    'fsgr_rewards': 'SelfCriticalFSGR',
    'distilled': 'DistilledRecognizer',
}
#: Experiment: the registered method that it trains.
METHODS = {name: entry['class'] for name, entry in ENTRIES.items()} | VARIANTS
#: Registered methods that have nothing to train.
UNTRAINED = {entry['class'] for entry in INDEX} - {*METHODS.values()} | {'CaptionEnsemble'}


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
    if name in ENTRIES:
        entry = ENTRIES[name]
        settings, write = OTHER_DATA.get(entry['class'], TASKS[entry['task']])
        text = settings.replace('{more}', '').format(root=ROOT, demo=ENTRIES[name]['demo'], data=write(data))
    elif name == 'vadclip_aligned':
        more = "model = dict(score_branch='aligned')"
        demo = ENTRIES['vadclip']['demo']
        text = SNIPPETS.replace('{more}', more).format(root=ROOT, demo=demo, data=_write_snippets(data))
    elif name == 'clip':
        text = CLIP.format(root=ROOT)
    elif name.startswith('fsgr'):
        toy_captions.write_data(data)
        more = 'prototypical_memory = True'
        if name == 'fsgr_rewards':
            more = f"load_from = '{folder}/base/epoch_1.pth'\nfrequencies_dir = '{folder}/frequencies'"
            base = folder / 'tiny_base.py'
            base.write_text(toy_captions.config_text(data))
            train([str(base), '--work-dir', str(folder / 'base')])
        text = toy_captions.config_text(data, 'fsgr_coco_scst' if name == 'fsgr_rewards' else 'fsgr_coco', more)
        if name == 'fsgr_rewards':
            text = text.replace('max_epochs = 1\n', '')
    else:
        plain = folder / 'tiny_plain.py'
        plain.write_text(toy_clips.CONFIG.format(root=ROOT, data=toy_clips.write_data(data)))
        train([str(plain), '--work-dir', str(folder / 'teacher'), '--cfg-options', 'max_epochs=1'])
        text = STUDENT.format(plain=plain, teacher=folder / 'teacher' / 'epoch_1.pth')
    path.write_text(text)
    return path
