import pytest

from vadlab.utils.config import ConfigWarning, config_differences, parse_cfg_options, read_config, runner_config
from vadlab.utils.errors import ConfigError, MissingFileError

BASE = """
size = 224
size_pair = (size, size // 2)
root = 'data'
flag = False
model = dict(type='M', size=size, pair=size_pair, inner=dict(a=1, root=root, flag=flag))
custom_hooks = [dict(type='H', every=size)]
"""
CHILD = """
_base_ = ['base.py']
size = 128
model = dict(inner=dict(b=2, doubled=size * 2))
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / 'base.py').write_text(BASE)
    (tmp_path / 'child.py').write_text(CHILD)
    return tmp_path


def test_variable_of_the_child_reaches_expressions_of_its_base(files):
    config = read_config(files / 'child.py')
    assert config.model.size == 128
    assert config.model.pair == (128, 64)
    assert config.custom_hooks[0].every == 128
    assert config.model.inner == dict(a=1, b=2, doubled=256, root='data', flag=False)


def test_option_reaches_child_and_base(files):
    config = read_config(files / 'child.py', {'size': 32, 'root': '/x', 'flag': True})
    assert (config.model.size, config.model.inner.doubled) == (32, 64)
    assert (config.model.inner.root, config.model.inner.flag) == ('/x', True)


def test_grandchild_wins(files):
    (files / 'leaf.py').write_text("_base_ = ['child.py']\nsize = 8\n")
    assert read_config(files / 'leaf.py').model.size == 8
    assert read_config(files / 'leaf.py').model.inner.doubled == 16


def test_base_dict_may_be_used_whole(files):
    (files / 'base.py').write_text("model = dict(type='One', inner=dict(a=1))\n")
    (files / 'leaf.py').write_text(
        "_base_ = ['base.py']\nmodel = dict(_delete_=True, type='Several', of=_base_.model, a=_base_.model.inner.a)\n"
    )
    config = read_config(files / 'leaf.py')
    assert config.model == dict(type='Several', of=dict(type='One', inner=dict(a=1)), a=1)
    (files / 'flat.py').write_text(config.pretty_text)
    assert read_config(files / 'flat.py').model == config.model


def test_base_value_by_name(files):
    (files / 'leaf.py').write_text(
        "_base_ = ['base.py']\nmodel = dict(third=_base_.size // 3, a=_base_.model.inner.a)\n"
    )
    assert read_config(files / 'leaf.py').model.third == 74
    (files / 'leaf.py').write_text("_base_ = ['base.py']\nmodel = dict(third=_base_.sise)\n")
    with pytest.raises(ConfigError, match=r"leaf\.py, line 2.*'sise'. Did you mean 'size'"):
        read_config(files / 'leaf.py')


def test_filename_and_text_are_kept(files):
    config = read_config(files / 'child.py')
    assert config.filename == str(files / 'child.py')
    assert 'size = 128' in config.text
    assert 'size = 224' in config.text


def test_delete_replaces_a_dict(files):
    (files / 'leaf.py').write_text("_base_ = ['base.py']\nmodel = dict(inner=dict(_delete_=True, z=1))\n")
    assert read_config(files / 'leaf.py').model.inner == dict(z=1)


def test_dotted_options(files):
    config = read_config(files / 'child.py', {'model.inner.a': 5, 'custom_hooks.0.every': 3, 'model.new': 1})
    assert (config.model.inner.a, config.custom_hooks[0].every, config.model.new) == (5, 3, 1)


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ({'sise': 1}, "no such key. Did you mean 'size'"),
        ({'model.iner.a': 1}, "model has no 'iner'. Did you mean 'inner'"),
        ({'modle.size': 1}, "there is no 'modle'. Did you mean 'model'"),
        ({'model.size.x': 1}, 'model.size is 128, which has nothing inside'),
        ({'custom_hooks.3.every': 1}, "list of 1; '3' is not an index"),
        ({'model.pair.0': 1}, 'a tuple cannot be changed in part'),
        ({'size': 'abc'}, "size is 128 in the config and cannot be 'abc'"),
        ({'flag': 'yes'}, "flag is False in the config and cannot be 'yes'"),
        ({'train_dataloder': 1}, "Did you mean 'train_dataloader'"),
    ],
)
def test_option_that_cannot_be(files, option, message):
    with pytest.raises(ConfigError, match=message):
        read_config(files / 'child.py', option)


@pytest.mark.parametrize(
    ('key', 'meant'),
    [('train_dataloder', 'train_dataloader'), ('optim_wraper', 'optim_wrapper'), ('sise', 'size')],
)
def test_misspelled_key_in_a_file(files, key, meant):
    (files / 'leaf.py').write_text(f"_base_ = ['base.py']\n{key} = dict(a=1)\n")
    with pytest.warns(ConfigWarning, match=rf"leaf\.py: nothing reads '{key}'. Did you mean '{meant}'"):
        read_config(files / 'leaf.py')


def test_missing_file_names_the_nearest(files):
    with pytest.raises(MissingFileError, match=r"chld\.py not found. Did you mean 'child\.py'"):
        read_config(files / 'chld.py')
    with pytest.raises(MissingFileError, match='There is no folder'):
        read_config(files / 'no' / 'child.py')
    (files / 'leaf.py').write_text("_base_ = ['bas.py']")
    with pytest.raises(MissingFileError, match=r'bas\.py not found \(named by .*leaf\.py\)'):
        read_config(files / 'leaf.py')


@pytest.mark.parametrize('base', ['rtfm_demo', 'rtfm_demo.py', 'configs/rtfm_demo.py', 'vadlab/rtfm_demo.py'])
def test_a_base_that_is_one_of_vadlab_is_named_as_it_has_to_be(files, monkeypatch, base):
    """Also if the config lies in the working directory, where the name alone is found by commands."""
    monkeypatch.chdir(files)
    (files / 'leaf.py').write_text(f'_base_ = {base!r}')
    message = rf"Config {base} not found \(named by .*leaf\.py\)\. The one of VADLab is 'vadlab::rtfm_demo\.py'\."
    with pytest.raises(MissingFileError, match=message):
        read_config('leaf.py')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('model = dict(\n', r'line 1'),
        ('model = dict(a=1)\nmodel.b = nothing\n', r'line 2: NameError'),
        ("_base_ = ['leaf.py']", 'builds on itself'),
        ('_base_ = 3', '_base_ must be a list'),
        ("_base_ = ['base.py', 'other.py']", 'model set in more than one'),
        ("_base_ = ['base.py']\nmodel = dict(size=dict(a=1))", 'cannot be merged'),
    ],
)
def test_file_that_cannot_be_evaluated(files, text, message):
    (files / 'other.py').write_text("model = dict(type='N')")
    (files / 'leaf.py').write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_config(files / 'leaf.py')


def test_runner_config_has_no_variables_and_can_be_loaded_again(files):
    flat = runner_config(read_config(files / 'child.py'))
    assert set(flat._cfg_dict) == {'model', 'custom_hooks'}
    (files / 'flat.py').write_text(flat.pretty_text)
    assert read_config(files / 'flat.py').model == flat.model
    with pytest.raises(ConfigError, match='no such key'):  # it would change nothing there
        read_config(files / 'flat.py', {'size': 3})


def test_words_become_options():
    pairs = ['a=1', 'b.c=1e-3', 'd=True', 'e=None', 'f=x=y', 'g=[1,2]', 'h=a,b', 'i=']
    assert parse_cfg_options(pairs) == {
        'a': 1, 'b.c': 1e-3, 'd': True, 'e': None, 'f': 'x=y', 'g': [1, 2], 'h': ['a', 'b'], 'i': '',
    }  # fmt: skip
    assert parse_cfg_options(None) == {}
    with pytest.raises(ConfigError, match="takes key=value, got 'a'"):
        parse_cfg_options(['a'])


def test_differences_are_dotted():
    old = {'a': {'b': 1, 'c': [1, {'d': 2}]}, 'e': 1}
    new = {'a': {'b': 2, 'c': [1, {'d': 3}]}, 'f': 1}
    assert config_differences(old, new) == [
        'a.b: 1 -> 2', 'a.c.1.d: 2 -> 3', "e: 1 -> '(not set)'", "f: '(not set)' -> 1",
    ]  # fmt: skip
    assert config_differences((1, 2), [1, 2]) == []


@pytest.mark.parametrize('name', ['text', 'filename', 'pretty_text', 'env_variables'])
def test_a_variable_with_a_name_of_mmengine_is_one_message(tmp_path, name):
    (tmp_path / 'c.py').write_text(f'{name} = 1\nmodel = dict(a={name})\n')
    with pytest.raises(ConfigError, match=f"c.py: '{name}' is the name of an attribute of MMEngine's Config. Rename"):
        read_config(tmp_path / 'c.py')
