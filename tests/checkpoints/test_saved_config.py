import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config

from vadlab.checkpoints.saved_config import read_saved_config
from vadlab.utils.errors import CheckpointError

ROOT = Path(__file__).parents[2]

#: Each would make the file {witness} if it ran.
HOSTILE = {
    'a statement': 'model = 1\nopen({witness!r}, "w")',
    'a call': 'model = open({witness!r}, "w")',
    'an import': 'import pathlib\npathlib.Path({witness!r}).touch()',
    'a call inside dict(...)': 'model = dict(type="X", vision=open({witness!r}, "w"))',
    'a call as an argument': 'model = dict(open({witness!r}, "w"))',
    'unpacking': 'model = dict(**{{"a": open({witness!r}, "w")}})',
    'a star': 'model = [*[open({witness!r}, "w")]]',
    'a dict display': 'model = {{"a": open({witness!r}, "w")}}',
    'a key': 'model = {{open({witness!r}, "w"): 1}}',
    'a comprehension': 'model = [open({witness!r}, "w") for _ in "x"]',
    'a lambda': 'model = (lambda: open({witness!r}, "w"))()',
    'a class': 'class A:\n    open({witness!r}, "w")',
    'a decorator': '@open({witness!r}, "w").write\ndef f(): pass',
    'a default': 'def f(x=open({witness!r}, "w")): pass',
    'an f-string': 'model = f"{{open({witness!r}, chr(119))}}"',
    'an attribute': 'model = ().__class__.__base__.__subclasses__()',
    'an index as target': 'model = dict()\nmodel[open({witness!r}, "w")] = 1',
    'an annotation': 'model: open({witness!r}, "w") = 1',
    'a walrus': 'model = [a := open({witness!r}, "w")]',
    'an assertion': 'assert open({witness!r}, "w")',
    'a set of calls': 'model = {{open({witness!r}, "w")}}',
    'a minus': 'model = -open({witness!r}, "w")',
    'another encoding': '# -*- coding: utf-7 -*-\nmodel = open({witness!r}, "w")',
    'bases': '_base_ = [open({witness!r}, "w")]',
    'a conditional': 'model = 1 if open({witness!r}, "w") else 2',
}


@pytest.mark.parametrize('kind', HOSTILE)
def test_code_is_refused_and_not_run(tmp_path, kind):
    witness = tmp_path / 'ran'
    text = HOSTILE[kind].format(witness=str(witness))
    with pytest.raises(CheckpointError, match=r'x\.pth: its saved config .* has more than assignments of plain values'):
        read_saved_config(text, 'x.pth')
    assert not witness.exists()


@pytest.mark.parametrize(
    'text',
    [
        'a = ' + '-' * 300_000 + '1',
        'a = ' + '[' * 100_000,
        'a = ' + '1+' * 100_000 + '1',
        'a = b' + '.c' * 100_000,
        'a = ' + 'not ' * 100_000 + '1',
        'a = ' + '9' * 5_000,
        'a = 1\0',
        'a = {[]: 1}',
        'a = {1: 2',
        'a = -"x"',
        '\ufeff\ufeffa = 1',
        'a' * (2**22 + 1),
    ],
)
def test_text_that_is_no_config_is_one_error(text):
    with pytest.raises(CheckpointError, match=r'x\.pth: its saved config'):
        read_saved_config(text, 'x.pth')


@pytest.mark.parametrize('value', [3, ['a = 1'], {'a': 1}, b'a = 1'])
def test_another_type_than_text_is_named(value):
    with pytest.raises(CheckpointError, match=f'is of type {type(value).__name__}, not text'):
        read_saved_config(value, 'x.pth')


_leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
_keys = st.text('abcXYZ_-. 0', min_size=1, max_size=4)
_values = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=12,
)


@given(values=st.dictionaries(st.from_regex(r'v_[a-z]{1,5}', fullmatch=True), _values, max_size=4))
def test_what_was_formatted_is_read_back(values):
    text = '\n'.join(f'{key} = {value!r}' for key, value in values.items())
    assert read_saved_config(text, 'x.pth') == values


def test_the_text_that_a_run_saves_is_read_back():
    values = dict(
        model=dict(type='X', sizes=(1, 2), heads=[dict(a=-1.5, b=None)], **{'Road Accidents': [True]}),
        optim_wrapper=dict(optimizer=dict(lr=1e-5, betas=(0.9, 0.999))),
        clip=dict(limit=float('inf'), low=float('-inf')),
    )
    read = read_saved_config(Config(values).pretty_text, 'x.pth')
    assert read == values
    assert read['clip']['low'] == -math.inf


@given(text=st.text() | st.text('abdict=()[]{}:,.-+*1 \n"\'#@', max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        assert isinstance(read_saved_config(text, 'x.pth'), dict)
    except CheckpointError as error:
        assert 'x.pth' in str(error)  # noqa: PT017 - either outcome is right


def test_no_module_runs_or_unpickles_what_a_file_holds():
    """Whatever reads a checkpoint goes through the readers above; configs alone are executed, in one place."""
    forbidden = re.compile(
        r'\bConfig\.from(string|file)|(?<![\w.])(exec|eval)\(|pickle\.loads?\(|allow_pickle=True|weights_only=False'
    )
    found = [
        f'{path.relative_to(ROOT)}: {line.strip()}'
        for folder in ('vadlab', 'tools')
        for path in sorted((ROOT / folder).rglob('*.py'))
        for line in path.read_text(encoding='utf-8').splitlines()
        if forbidden.search(line)
    ]
    # Configs that the user names are executed; annotations of constructors come from code; workers of Ray and
    # other processes of a command get their work from it, and it gets their results.
    assert sorted(line.partition('(')[0] for line in found) == [
        'vadlab/utils/config.py: exec',
        'vadlab/utils/config.py: exec',
        'vadlab/utils/config.py: return Config.fromfile',
        'vadlab/utils/config_check.py: hint = eval',
        'vadlab/utils/many_files.py: pickle.loads',
        'vadlab/utils/many_files.py: result = pickle.loads',
        'vadlab/utils/many_files.py: return pickle.dumps',
        'vadlab/utils/ray_engine.py: _STARTED[run] = started',
    ]
