import sys
from pathlib import Path

import pytest
import yaml

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

sys.path.insert(0, str(Path(__file__).parents[2] / 'tools'))
import zoo

ENTRY = {
    'name': 'X',
    'task': zoo.WEAK,
    'class': 'MILRanking',
    'paper': 'A et al., 2026',
    'code': 'https://example.org',
    'page': 'README.md',
    'demo': 'configs/mil_demo.py',
    'configs': [{'config': 'configs/mil_ucf.py', 'input': 'I3D', 'published': '75.41 AUC'}],
    'measured': {'frame/auc': [0.9, 0.01]},
}


def test_pages_hold_the_tables_of_the_index():
    assert zoo.main(['--check']) == 0


def test_every_experiment_has_an_entry():
    known = {config for entry in zoo.read_index() for config in zoo.configs_of(entry)}
    there = {f'configs/{path.name}' for path in (zoo.ROOT / 'configs').glob('*.py')}
    others = {
        config for config in there if 'features_' in config or 'pretrain' in config or 'default_runtime' in config
    }
    assert known == there - others


def test_classes_of_the_index_are_registered():
    assert all(MODELS.get(entry['class']) is not None for entry in zoo.read_index())


def test_tables_by_hand():
    name = '[X](https://example.org), A et al., 2026; start with `configs/mil_demo.py`'
    assert zoo.published_table([ENTRY])[2] == f'| {name} | `configs/mil_ucf.py` | I3D | 75.41 AUC |'
    assert zoo.measured_table([ENTRY])[2] == '| X | 0.900 ± 0.010 |  |  |  |  |'
    text = 'a\n<!-- zoo: measured -->\nold\n<!-- zoo end -->\nb\n'
    assert zoo.with_tables(text, [ENTRY], 'page').endswith('|  |  |  |  |\n<!-- zoo end -->\nb\n')


def test_demos_of_the_weakly_supervised_methods(capsys):
    assert zoo.main(['--demos']) == 0
    assert capsys.readouterr().out.split()[:2] == ['configs/zero_shot_clip_demo.py', 'configs/mil_demo.py']


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'paper': None}, r"X: missing fields \['paper'\]"),
        ({'papers': 'A'}, r"unknown fields \['papers'\]"),
        ({'demo': 'configs/mil_dmo.py'}, 'there is no file configs/mil_dmo.py'),
    ],
)
def test_an_entry_that_is_wrong_is_named(tmp_path, change, message):
    entry = {key: value for key, value in {**ENTRY, **change}.items() if value is not None}
    path = tmp_path / 'index.yml'
    path.write_text(yaml.safe_dump([entry]))
    with pytest.raises(ConfigError, match=message):
        zoo.read_index(path)


def test_a_table_that_does_not_exist_is_named():
    with pytest.raises(ConfigError, match=r"page: there is no table 'mesured'"):
        zoo.with_tables('<!-- zoo: mesured -->\n<!-- zoo end -->', [], 'page')
