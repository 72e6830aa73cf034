import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadlab.utils.cfg_options import parse_cfg_options, set_option
from vadlab.utils.config import ConfigWarning, load_config, read_config
from vadlab.utils.errors import ConfigError

words = st.text(st.characters(exclude_categories=['Cs']), max_size=20)
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple) | st.dictionaries(words, inner, max_size=4)
    ),
    max_leaves=8,
)
paths = st.text('abcXYZ019 _-./äé漢', min_size=1, max_size=30).filter(lambda s: not is_number_or_word(s))


def is_number_or_word(text):
    try:
        return float(text) is not None
    except ValueError:
        return text.strip() in ('None', 'True', 'true', 'False', 'false')


def value_of(text):
    return parse_cfg_options([f'key={text}'])['key']


@given(values)
def test_whatever_python_writes_is_read_as_it_was(value):
    assert value_of(repr(value)) == value
    assert type(value_of(repr(value))) is type(value)


@given(paths)
def test_a_path_is_kept_to_the_character(path):
    assert value_of(path) == path


@given(st.lists(st.text('abcXYZ _-./', min_size=1).map(str.strip).filter(bool), min_size=2, max_size=5))
def test_bare_words_keep_their_spaces(names):
    expected = [None if n == 'None' else n for n in names]
    assert value_of(','.join(names)) == expected
    assert value_of(f'[{", ".join(names)}]') == expected
    assert value_of(f'( {",".join(names)} )') == tuple(expected)


@given(words)
def test_no_text_ends_in_a_traceback(text):
    try:
        value_of(text)
    except ConfigError as error:
        assert str(error).startswith('--cfg-options key: ')  # noqa: PT017 - most texts are read


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('/a b/c', '/a b/c'),
        ('["Normal","Road Accidents"]', ['Normal', 'Road Accidents']),
        ('[Normal,Road Accidents]', ['Normal', 'Road Accidents']),
        ("['calm street']", ['calm street']),
        ("dict(Normal=['a'], Fire=dict(b=(1,)))", {'Normal': ['a'], 'Fire': {'b': (1,)}}),
        ("{'Road Accidents': [1, -2.5]}", {'Road Accidents': [1, -2.5]}),
        ('a,b', ['a', 'b']),
        ('1,2', [1, 2]),
        ('(1,a b)', (1, 'a b')),
        ('[[1,2],(a,b)]', [[1, 2], ('a', 'b')]),
        ("'007'", '007'),
        ("'a,b'", 'a,b'),
        ("it's me", "it's me"),
        ("it's me, you", ["it's me", 'you']),
        ('f(a,b)', 'f(a,b)'),
        ('[a] and [b]', '[a] and [b]'),
        ('(a', '(a'),
        ("'a", "'a"),
        ('a=b', 'a=b'),
        ('', ''),
        ('[]', []),
        ('()', ()),
        ('1e-3', 1e-3),
        ('-inf', float('-inf')),
        ('true', True),
        ('None', None),
        ('None,1', [None, 1]),
        (r"r'\w+'", r"r'\w+'"),
        (r'logit_scale\w*', r'logit_scale\w*'),
    ],
)
def test_values(text, value):
    assert value_of(text) == value
    assert type(value_of(text)) is type(value)


@pytest.mark.parametrize('text', ['dict(a)', 'dict(a=b)', '{Normal: 1}', 'dict(a=open("x"))', '{**{}}'])
def test_a_dict_that_cannot_be_read_is_refused(text):
    with pytest.raises(ConfigError, match=r'--cfg-options key: .* cannot be read as a dict'):
        value_of(text)


@given(words.filter(bool), values)
def test_a_value_arrives_in_its_place_and_nowhere_else(tmp_path_factory, name, value):
    shared = {'inner': 1}
    config = {'a': {name: 0}, 'b': [shared], 'c': [shared]}
    if '.' not in name:
        set_option(config, f'a.{name}', value)
        assert config['a'] == {name: value}
    set_option(config, 'b.0', value)
    assert config['b'] == [value]
    assert config['c'] == [{'inner': 1}]


FILE = """
num_frames = 4
data_root = 'data'
classes = ('a', 'b')
pipeline = [dict(type='Probe'), dict(type='Sample', num_frames=num_frames, of=dict(x=1))]
part = dict(root=data_root)
lonely = dict(z=1)
train_dataloader = dict(dataset=dict(pipeline=pipeline, part=dict(**part, more=1), classes=classes))
val_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = val_dataloader
work_dir = f'runs/{len(lonely)}'
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / 'base.py').write_text(FILE)
    (tmp_path / 'child.py').write_text("_base_ = ['base.py']\nnum_frames = 8\npart = dict(extra=5)\n")
    return tmp_path / 'child.py'


@given(words, st.integers(), st.lists(words, max_size=3))
def test_a_variable_takes_any_value_to_its_places(tmp_path_factory, root, number, names):
    path = tmp_path_factory.getbasetemp() / 'late.py'
    path.write_text(FILE)
    pairs = [f'data_root={root!r}', f'num_frames={number}', f'classes={names!r}']
    config = read_config(path, parse_cfg_options(pairs))
    dataset = config.train_dataloader.dataset
    assert (dataset.part.root, dataset.pipeline[1].num_frames, dataset.classes) == (root, number, names)


def test_a_part_of_a_variable_is_set_before_it_is_copied(file):
    config = read_config(file, {'pipeline.1.num_frames': 5, 'pipeline.1.of.x': 2, 'part.root': '/x'})
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        assert loader.dataset.pipeline[1] == dict(type='Sample', num_frames=5, of=dict(x=2))
    assert config.train_dataloader.dataset.part == dict(root='/x', more=1)
    assert config.part == dict(root='/x', extra=5)


def test_an_option_of_a_setting_changes_that_one_alone(file):
    config = read_config(file, {'val_dataloader.dataset.pipeline.1.num_frames': 5})
    loaders = (config.train_dataloader, config.val_dataloader, config.test_dataloader)
    assert [loader.dataset.pipeline[1].num_frames for loader in loaders] == [8, 5, 8]


def test_a_part_of_a_variable_that_reaches_nothing_is_refused(file):
    with pytest.raises(ConfigError, match=r'lonely\.z: lonely is a variable.*reaches no setting. Nothing reads it'):
        read_config(file, {'lonely.z': 6})
    assert read_config(file, {'lonely.y': 6}).work_dir == 'runs/2'


def test_a_dict_is_merged_into_the_dict_that_is_there(file):
    config = read_config(file, parse_cfg_options(["train_dataloader.dataset.part=dict(more=2, new='a b')"]))
    assert config.train_dataloader.dataset.part == dict(root='data', more=2, new='a b')


def test_a_missing_module_is_named_with_what_to_do(tmp_path, monkeypatch):
    path = tmp_path / 'config.py'
    path.write_text("custom_imports = dict(imports=['lab_parts.models'])\n")
    with pytest.raises(
        ConfigError, match=r"'lab_parts\.models' cannot be imported: No module named 'lab_parts'.*PYTHONPATH="
    ):
        load_config(path)
    path.write_text("custom_imports = dict(imports=['lab_parts.models'], allow_failed_imports=True)\n")
    with pytest.warns(ConfigWarning, match='PYTHONPATH='):
        load_config(path)
    (tmp_path / 'lab_parts').mkdir()
    (tmp_path / 'lab_parts' / 'models.py').write_text('import nothing_like_it\n')
    monkeypatch.syspath_prepend(tmp_path)
    path.write_text("custom_imports = dict(imports='lab_parts.models')\n")
    with pytest.raises(ConfigError, match="cannot be imported: No module named 'nothing_like_it'.$"):
        load_config(path)
    (tmp_path / 'lab_parts' / 'models.py').write_text('')
    load_config(path)


@pytest.mark.parametrize('text', ['{"_delete_": True, "lr": 1}', 'dict(_delete_=True, lr=1)'])
def test_delete_replaces_the_dict_that_is_there(text):
    values = {'optimizer': {'type': 'Adam', 'betas': [0.9, 0.99]}, 'other': {'a': {'b': 1}}}
    for key, value in parse_cfg_options([f'optimizer={text}', 'other={"a": {"_delete_": True, "c": 2}}']).items():
        set_option(values, key, value)
    assert values == {'optimizer': {'lr': 1}, 'other': {'a': {'c': 2}}}
    # Where there is no dict, there is nothing to delete.
    new = {'_delete_': True, 'a': {'_delete_': True, 'b': [{'_delete_': True}]}}
    set_option(values, 'hook', new, frozenset({'hook'}))
    assert values['hook'] == {'a': {'b': [{}]}}
