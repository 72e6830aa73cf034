import json

import numpy as np
import pytest

from vadlab.utils.errors import ConfigError


@pytest.fixture(scope='module')
def main(load_tool):
    return load_tool('compare_features').main


@pytest.fixture
def two_sets(tmp_path):
    random = np.random.default_rng(0)
    for i in range(3):
        feats = random.standard_normal((12 + i, 16)) + 2
        for folder, values in (('a', feats), ('b', feats / np.linalg.norm(feats, axis=1, keepdims=True))):
            (tmp_path / folder).mkdir(exist_ok=True)
            np.save(tmp_path / folder / f'v{i}__0.npy', values.astype(np.float16))
    return str(tmp_path / 'a'), str(tmp_path / 'b')


def test_table_json_and_picture(main, two_sets, tmp_path, capsys):
    assert main([*two_sets, '--out', str(tmp_path / 'x.png'), '--json', str(tmp_path / 'x.json')]) == 0
    said = capsys.readouterr().out
    assert '1. B is scaled to length 1' in said
    assert 'B of length 1' in said
    assert (tmp_path / 'x.png').stat().st_size > 10_000
    content = json.loads((tmp_path / 'x.json').read_text())
    assert content['facts']['unit_length_b'] is True
    assert content['findings'] == ['B is scaled to length 1, the other is not: divide by the norm, or leave it out.']
    main([two_sets[0], two_sets[0]])
    assert 'The sets are the same, up to rounding.' in capsys.readouterr().out


def test_a_small_difference_of_preprocessing_is_no_rounding(main, two_sets, tmp_path, capsys):
    rng = np.random.default_rng(0)
    (tmp_path / 'c').mkdir()
    for file in (tmp_path / 'a').glob('*.npy'):
        values = np.load(file).astype(np.float32)
        np.save(tmp_path / 'c' / file.name, values + 0.03 * values.std() * rng.standard_normal(values.shape))
    main([two_sets[0], str(tmp_path / 'c')])
    said = capsys.readouterr().out
    assert 'The sets are nearly the same (lowest cosine of a snippet 0.99' in said
    assert 'up to rounding' not in said


def write_recipes(tmp_path, *frames):
    for folder, value in zip('ab', frames, strict=True):
        (tmp_path / folder / 'recipe.json').write_text(json.dumps({'recipe': {'frames': value}}))


@pytest.mark.parametrize('noise', [0.0, 0.03, 0.3])
def test_different_recipes_are_the_verdict(main, two_sets, tmp_path, capsys, noise):
    """However near or far the numbers are: nothing is guessed where the recipes tell the cause."""
    rng = np.random.default_rng(1)
    for file in (tmp_path / 'a').glob('*.npy'):
        values = np.load(file).astype(np.float32)
        np.save(tmp_path / 'b' / file.name, values + noise * values.std() * rng.standard_normal(values.shape))
    write_recipes(tmp_path, 'middle', 'first')
    main([*two_sets, '--json', str(tmp_path / 'x.json')])
    said = capsys.readouterr().out
    assert "1. The sets were made by different recipes: frames: 'middle' -> 'first'." in said
    assert ('2. The features are the same, up to rounding' in said) == (noise == 0)
    assert 'otherwise' not in said
    assert 'same weights' not in said
    assert json.loads((tmp_path / 'x.json').read_text())['recipes'] == ["frames: 'middle' -> 'first'"]


def test_equal_recipes_are_told_beside_a_difference(main, two_sets, tmp_path, capsys):
    write_recipes(tmp_path, 'middle', 'middle')
    main(list(two_sets))
    said = capsys.readouterr().out
    assert '1. B is scaled to length 1' in said
    assert 'The recipes of both sets are the same.' in said


def test_mistakes(main, two_sets):
    with pytest.raises(ConfigError, match='--max-videos must be at least 1'):
        main([*two_sets, '--max-videos', '0'])
    with pytest.raises(ConfigError, match=r'must end with \.png'):
        main([*two_sets, '--out', 'x.txt'])
    with pytest.raises(ConfigError, match='--explain takes a config and videos'):
        main([*two_sets, '--explain', 'configs/features_clip_demo.py'])
