"""The recipe of features in checkpoints, and what is told where it differs."""

import json
from pathlib import Path

import pytest

from vadlab.checkpoints.checkpoint_io import read_checkpoint
from vadlab.datasets import SnippetFeatures

from . import tiny_features

ROOT = Path(__file__).parents[2]


def write_recipe(folder, **recipe):
    (folder / 'recipe.json').write_text(json.dumps({'recipe': recipe, 'facts': {}}))


@pytest.fixture
def data(tmp_path):
    data = tiny_features.write_data(tmp_path / 'data')
    write_recipe(data / 'features', weights_sha256='abc', stride=16)
    write_recipe(data / 'blank', weights_sha256='xyz', stride=16)
    return data


def log_of(folder):
    return '\n'.join(path.read_text() for path in folder.rglob('*.log'))


def test_a_checkpoint_tells_features_of_other_weights(data, train, test, tmp_path):
    config = str(tiny_features.write_config('mil', tmp_path, ROOT, data))
    train([config, '--work-dir', str(tmp_path / 'w')])
    assert 'recipe' not in log_of(tmp_path / 'w').split('Hooks will be executed')[-1].split('Sanity check')[-1]
    for name in ('epoch_2.pth', 'best_frame_auc_epoch_2.pth'):
        meta = read_checkpoint(tmp_path / 'w' / name)['meta']
        assert meta['feature_recipe'] == {'weights_sha256': 'abc', 'stride': 16}
        test([config, str(tmp_path / 'w' / name), '--work-dir', str(tmp_path / f'same{name}')])
        assert 'different recipes' not in log_of(tmp_path / f'same{name}')
    checkpoint = str(tmp_path / 'w' / 'epoch_2.pth')
    test([config, checkpoint, '--work-dir', str(tmp_path / 'other'), '--cfg-options', 'feature_dir=blank'])
    said = log_of(tmp_path / 'other')
    assert (
        'The test features and those that the checkpoint was trained on were made by different recipes: '
        "weights_sha256: 'abc' -> 'xyz'. If the backbone or its weights differ, the scores mean nothing"
    ) in said
    options = ['--cfg-options', f'load_from={checkpoint}', 'feature_dir=blank', 'max_epochs=1', 'val_interval=1']
    train([config, '--work-dir', str(tmp_path / 'on'), *options])
    assert 'The training features and those that the checkpoint was trained on' in log_of(tmp_path / 'on')


def test_checkpoints_and_features_without_a_recipe_are_used_as_before(data, train, test, tmp_path):
    config = str(tiny_features.write_config('mil', tmp_path, ROOT, data))
    (data / 'features' / 'recipe.json').unlink()
    (data / 'blank' / 'recipe.json').write_text('[1]')  # somebody else's
    train([config, '--work-dir', str(tmp_path / 'w')])
    checkpoint = str(tmp_path / 'w' / 'epoch_2.pth')
    assert 'feature_recipe' not in read_checkpoint(checkpoint)['meta']
    write_recipe(data / 'features', weights_sha256='abc')
    test([config, checkpoint, '--work-dir', str(tmp_path / 'a')])
    test([config, checkpoint, '--work-dir', str(tmp_path / 'b'), '--cfg-options', 'feature_dir=blank'])
    assert 'different recipes' not in log_of(tmp_path / 'a') + log_of(tmp_path / 'b')
    assert 'recipe.json contains no recipe' in log_of(tmp_path / 'b')


def test_recipe_is_looked_for_in_the_features_folder(data):
    def recipe(**options):
        return SnippetFeatures(
            **(dict(ann_file='test.txt', data_root=str(data), lazy_init=True) | options)
        ).feature_recipe

    assert recipe(feature_dir='features')['weights_sha256'] == 'abc'
    assert recipe(feature_dir='features/Fighting') is None
    write_recipe(data, weights_sha256='root')
    assert recipe()['weights_sha256'] == 'root'
