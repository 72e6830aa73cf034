import inspect
import re
from pathlib import Path

import pytest
import torch
from mmengine.dataset import Compose

from vadlab.models.heads.codebook import save_codebook
from vadlab.models.tokenizers.word_vocabulary import SPECIAL_WORDS, WordVocabulary
from vadlab.registry import DATASETS, HOOKS, METRICS, MODELS
from vadlab.registry import OPTIM_WRAPPER_CONSTRUCTORS as CONSTRUCTORS
from vadlab.utils.config import RUNNER_KEYS, load_config, runner_config
from vadlab.utils.setup_env import register_all_modules

CONFIGS = Path(__file__).parents[2] / 'configs'
# Those of features have tests of their own.
EXPERIMENTS = sorted(
    p for p in CONFIGS.glob('*.py') if p.name != 'default_runtime.py' and not p.name.startswith('features_')
)
TINY = {
    'image_size': 32,
    'pretrained': None,
    'pretrained_video': None,
    'pretrained_audio': None,
    'fusion_width': 16,
    'model.embed_dim': 8,
    'model.adapted_blocks': 1,
    'model.vision.patch_size': 16,
    'model.vision.width': 16,
    'model.vision.layers': 1,
    'model.vision.heads': 2,
    'model.vision.adapters.first': 0,
    'model.vision.adapters.last': 0,
    'word_init': None,
    'model.text.width': 16,
    'model.text.layers': 1,
    'model.text.heads': 2,
}
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def load(path, **options):
    """A config; of the tiny options those whose variable or part it has."""
    config = load_config(path)
    known = {key: value for key, value in TINY.items() if has(config, key)}
    return load_config(path, {**known, **options})


def has(config, key):
    """Whether a config sets a dotted key."""
    *parents, name = key.split('.')
    for part in parents:
        config = config.get(part) or {}
    return name in config


@pytest.fixture(autouse=True)
def _modules():
    register_all_modules()


@pytest.fixture(scope='module', autouse=True)
def _caption_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('captions')
    TINY.update(vocab_file=str(folder / 'vocab.json'), codebook=str(folder / 'codebook.safetensors'))
    WordVocabulary(words=(*SPECIAL_WORDS, 'car')).save(TINY['vocab_file'])
    save_codebook(TINY['codebook'], ['car', 'dog'], torch.eye(2, 8))


@pytest.fixture
def clip_data(tmp_path):
    """A data root with metadata of clips, where heads look for their classes."""
    folder = tmp_path / 'raw/metadata'
    folder.mkdir(parents=True)
    rows = ['clip_id,video,split,species,behaviour,actions', 'a,a.mp4,train,fox,runs,leaps', 'b,b.mp4,train,hare,sits,']
    (folder / 'train.csv').write_text('\n'.join(rows) + '\n')
    return tmp_path


@pytest.mark.parametrize('path', EXPERIMENTS, ids=lambda p: p.stem)
def test_every_part_can_be_built(path, clip_data):
    config = load(path)
    if 'train_metadata' in config:
        config = load(path, data_root=str(clip_data))
    model = MODELS.build(config.model)
    if config.get('optim_wrapper') is not None:
        cfg = config.optim_wrapper.to_dict()
        build = CONSTRUCTORS.get(cfg.pop('constructor', 'DefaultOptimWrapperConstructor'))
        wrapper = build(cfg, cfg.pop('paramwise_cfg', None))(model)
        grouped = sum(p.numel() for g in wrapper.optimizer.param_groups for p in g['params'])
        assert grouped == sum(p.numel() for p in model.parameters() if p.requires_grad)
    for name in LOADERS:
        if config.get(name) is not None:
            settings = config[name]['dataset'].to_dict()
            dataset = DATASETS.get(settings.pop('type'))
            inspect.signature(dataset).bind(**settings)  # raises for an option that it does not take
            if 'pipeline' in settings:
                Compose(settings['pipeline'])
    for name in ('val_evaluator', 'test_evaluator'):
        metrics = config.get(name) or []
        for metric in metrics if isinstance(metrics, list) else [metrics]:
            METRICS.build(metric)
    for hook in [*config.default_hooks.values(), *config.custom_hooks]:
        HOOKS.build(hook)


@pytest.mark.parametrize('path', EXPERIMENTS, ids=lambda p: p.stem)
def test_dumped_config_says_the_same(path, tmp_path):
    flat = runner_config(load_config(path))
    (tmp_path / 'flat.py').write_text(flat.pretty_text)
    assert load_config(tmp_path / 'flat.py')._cfg_dict == flat._cfg_dict
    assert set(flat._cfg_dict) <= RUNNER_KEYS


@pytest.mark.parametrize('path', [p for p in EXPERIMENTS if p.stem.startswith('fgclip')], ids=lambda p: p.stem)
def test_one_variable_reaches_every_place(path):
    options = {'num_frames': 7, 'test_num_frames': 9, 'image_size': 96, 'blank_pixels': True}
    config = load_config(path, options | {'data_root': '/somewhere'})
    keeps_aspect = config.get('max_patches') is not None  # FG-CLIP 2's frames have no fixed size
    assert config.model.vision.get('image_size') == (None if keeps_aspect else 96)
    for name in LOADERS:
        dataset = config[name].dataset
        assert dataset.data_root == '/somewhere'
        steps = {step.type: step for step in dataset.pipeline}
        assert steps['SampleFrames'].num_frames == (7 if name == 'train_dataloader' else 9)
        assert steps['DecodeFrames'].size == (None if keeps_aspect else 96)
        assert steps['DecodeFrames'].max_patches == config.get('max_patches')
        assert steps['BlankFrames'].enabled is True


def test_tests_sample_as_many_frames_as_training_unless_told():
    config = load_config(CONFIGS / 'fgclip_ucf.py', {'num_frames': 7})
    assert config.test_dataloader.dataset.pipeline[1].num_frames == 7


@pytest.mark.parametrize(
    ('name', 'kind'), [('fgclip_ucf', 'HardNegativeLoss'), ('fgclip2_ucf', 'RankedHardNegativeLoss')]
)
def test_hard_negatives_are_one_variable(name, kind):
    assert load_config(CONFIGS / f'{name}.py').model.loss_hard_negative is None
    assert load_config(CONFIGS / f'{name}.py', {'hard_negatives': True}).model.loss_hard_negative.type == kind


def test_base_files_inherit_only_bases_that_inherit_nothing():
    bases = {
        path: re.findall(r"'\./(\w+\.py)'", ''.join(re.findall(r'^_base_ = .*$', path.read_text(), re.MULTILINE)))
        for path in (CONFIGS / '_base_').rglob('*.py')
    }
    parents = {path.with_name(name) for path, names in bases.items() for name in names}
    assert {path.name for path in parents} == {
        'snippet_features.py', 'clip_text_vit_b16.py', 'fsgr.py', 'snippets.py', 'vlm_client.py', 'clip_tower.py',
    }  # fmt: skip
    for path, names in bases.items():
        assert bool(names) == ('_base_ =' in path.read_text()), path
        assert not (names and path in parents), path


@pytest.mark.parametrize('name', ['late_fusion', 'concat'])
@pytest.mark.parametrize('suffix', ['', '_demo'])
def test_fusion_baselines_differ_in_the_fusion_alone(name, suffix):
    ours, theirs = (load_config(CONFIGS / f'{n}_wildlife{suffix}.py')._cfg_dict.to_dict() for n in ('mbt', name))
    fusions = [config['model'].pop('fusion') for config in (ours, theirs)]
    assert ours == theirs
    assert fusions[0]['width'] == fusions[1]['width']
    assert fusions[0]['type'] != fusions[1]['type']


def test_one_variable_reaches_every_place_of_the_wildlife_experiment():
    options = {'num_frames': 8, 'image_size': 96, 'data_root': '/somewhere', 'heads': ('sex',), 'multi_label': ('sex',)}
    config = load_config(CONFIGS / 'mbt_wildlife.py', options)
    assert (config.model.video_encoder.num_frames, config.model.video_encoder.image_size) == (8, 96)
    assert config.model.heads['sex'].metadata == '/somewhere/raw/metadata/train.csv'
    assert config.model.heads['sex'].multi_label is True
    assert config.data_preprocessor.audio_statistics == '/somewhere/processed/statistics.json'
    assert config.test_evaluator.heads == ('sex',)
    for loader in LOADERS:
        dataset = config[loader].dataset
        assert (dataset.data_root, dataset.heads, dataset.image_size) == ('/somewhere', ('sex',), 96)
        assert {step.type: step for step in dataset.pipeline}['SampleClip'].num_frames == 8


def test_mammalps_results_have_their_columns_in_order(tmp_path):
    config = load_config(CONFIGS / 'mbt_mammalps.py', {'results_tsv': str(tmp_path / 'results.tsv')})
    assert config.test_evaluator.heads == ('behaviour', 'actions', 'species')
    assert config.test_evaluator.tsv == str(tmp_path / 'results.tsv')
    assert config.val_evaluator.get('tsv') is None
    assert {name: head.multi_label for name, head in config.model.heads.items()} == {
        'behaviour': False, 'actions': True, 'species': False,
    }  # fmt: skip


@pytest.mark.parametrize('path', EXPERIMENTS, ids=lambda p: p.stem)
def test_own_classes_reach_every_part(path):
    if 'classes' not in load_config(path):
        pytest.skip('classes come from the metadata, or the task has none')
    own = ('Normal', 'Riot', 'Theft')
    config = load_config(path, {'classes': own})
    found = {name: tuple(value) for name, value in classes_in(config._cfg_dict)}
    assert set(found.values()) == {own}, found
    for loader in LOADERS:
        assert config.get(loader) is None or f'{loader}.dataset.classes' in found


def classes_in(node, where=''):
    """Each ``classes`` among the parts of a config, with its dotted name."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        name = f'{where}.{key}'.lstrip('.')
        if key == 'classes':
            yield name, value
        elif isinstance(value, (dict, list, tuple)):
            yield from classes_in(value, name)
