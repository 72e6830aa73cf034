import ast
from pathlib import Path

import pytest

from vadlab.datasets.formats.class_names import UCF_CRIME_CLASSES, XD_VIOLENCE_CLASSES
from vadlab.utils.config import load_config

FOLDER = Path(__file__).parents[2] / 'configs/_base_/datasets'
SHARED = FOLDER / 'snippet_features.py'
BASES = sorted(set(FOLDER.glob('*_features.py')) - {SHARED})
ONE_PLACE = dict(
    data_root='/somewhere',
    feature_dir='features',
    feature_dim=7,
    snippet_len=8,
    max_snippets=9,
    resample='jitter',
    batch_size=6,
    num_workers=0,
    label_from='list',
    length_policy='pad_last',
    segment_mode='standard',
    rank_by='scores',
    test_ann_file='own.txt',
)


def test_bases_differ_in_variables_alone():
    assert len(BASES) == 3
    for path in BASES:
        tree = ast.parse(path.read_text())
        # Late binding reaches plain values alone.
        values = {node.targets[0].id: ast.literal_eval(node.value) for node in tree.body}
        assert values.pop('_base_') == [f'./{SHARED.name}']
        assert set(values) <= set(load_config(SHARED))
        assert not any(isinstance(value, dict) for value in values.values())


@pytest.mark.parametrize('path', BASES, ids=lambda path: path.stem)
def test_one_variable_reaches_every_place(path):
    config = load_config(path, ONE_PLACE)
    for name in ('train', 'val', 'test'):
        loader = config[f'{name}_dataloader']
        assert loader.num_workers == 0
        for key in ('data_root', 'feature_dir', 'feature_dim', 'snippet_len', 'label_from'):
            assert loader.dataset[key] == ONE_PLACE[key], (name, key)
    train = config.train_dataloader
    resample = train.dataset.pipeline[1]
    assert (train.batch_size, resample.max_snippets, resample.mode) == (6, 9, 'jitter')
    assert config.val_dataloader.dataset.ann_file == config.test_dataloader.dataset.ann_file == 'own.txt'
    assert config.test_dataloader.dataset.test_mode
    assert [metric.get('length_policy') for metric in config.test_evaluator] == ['pad_last', None, 'pad_last']
    assert [metric.get('rank_by') for metric in config.test_evaluator] == ['scores', 'scores', None]
    assert config.test_evaluator[2].type == 'SegmentMetric'


@pytest.mark.parametrize('path', BASES, ids=lambda path: path.stem)
def test_balance_is_a_switch(path):
    assert load_config(path, dict(balanced=True)).train_dataloader.batch_sampler.type == 'BalancedBatchSampler'
    assert 'batch_sampler' not in load_config(path, dict(balanced=False)).train_dataloader


def test_classes_are_those_of_the_data_sets():
    classes = {path.stem: load_config(path).train_dataloader.dataset.classes for path in BASES}
    assert classes['ucf_crime_features'] == UCF_CRIME_CLASSES
    assert classes['xd_violence_features'] == XD_VIOLENCE_CLASSES
    assert classes['shanghaitech_features'] == ('Normal', 'Anomaly')


@pytest.mark.parametrize('method', ['rtfm', 'urdmu', 'bnwvad', 'mgfn', 'cliptsa'])
def test_features_of_sound_widen_the_model(method):
    path = FOLDER.parents[1] / f'{method}_xd.py'
    alone, joined = load_config(path), load_config(path, {'audio_dir': 'vggish-features', 'audio_dim': 128})
    assert joined.model.feature_dim == alone.model.feature_dim + 128 == joined.feature_dim + 128
    for config, expected in ((alone, (None, 0)), (joined, ('vggish-features', 128))):
        for loader in (config.train_dataloader, config.test_dataloader):
            assert (loader.dataset.audio_dir, loader.dataset.audio_dim) == expected
