"""Whatever bytes a reader gets, it returns, or raises one VADLabError with its name; soon, in little memory."""

import ast
import collections
import os
import random
import resource
import signal
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vadlab.utils.errors import VADLabError

from .mutations import damage
from .register import OTHERS, READERS

ROOT = Path(__file__).parents[2]
OPENING = frozenset([
    'open', 'read_text', 'read_bytes', 'read_json', 'read_json_lines', 'read_lines', 'read_table', 'read_records',
    'read_npy', 'map_npy', 'open_npz', 'loadmat', 'ZipFile', 'memmap', 'open_memmap', 'safe_open', 'imread', 'load',
    'read_npy_header',
])  # fmt: skip
MOST_SECONDS = 10
MOST_BYTES = 2**31


def _opens(path):
    """Whether a module calls something that opens a file."""
    calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return any((getattr(call, 'id', None) or getattr(call, 'attr', None)) in OPENING for call in calls)


def test_every_module_that_opens_files_is_registered():
    modules = [*(ROOT / 'vadlab').rglob('*.py'), *(ROOT / 'tools').glob('*.py')]
    opening = {path.relative_to(ROOT).as_posix() for path in modules if _opens(path)}
    known = {reader.module for reader in READERS} | set(OTHERS)
    assert opening - known == set(), 'add a reader with an example to tests/readers/register.py'
    assert {name for name in known if not (ROOT / name).is_file()} == set()
    assert len({reader.name for reader in READERS}) == len(READERS)


@contextmanager
def _bounded():
    """Little time and memory, beyond what the process holds already."""
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)

    def stop(*_):
        raise TimeoutError(f'more than {MOST_SECONDS} s')

    alarm = signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MOST_BYTES, before[1]))
    signal.alarm(MOST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, alarm)
        resource.setrlimit(resource.RLIMIT_AS, before)


def outcome(reader, folder):
    """``accepted`` or ``refused``; another exception than VADLab's own comes through."""
    try:
        with _bounded():
            reader.read(folder)
    except VADLabError as error:
        message = str(error)
        assert '\x1b' not in message
        assert len(message) < 5000
        assert not reader.names_file or Path(reader.file).stem in message or folder.name in message, message
        return 'refused'
    return 'accepted'


def _prepared(reader, folder):
    path = folder / reader.file
    path.parent.mkdir(parents=True, exist_ok=True)
    reader.make(path)
    return path, path.read_bytes()


@pytest.mark.parametrize('reader', READERS, ids=lambda reader: reader.name)
def test_the_example_is_accepted(reader, tmp_path):
    _prepared(reader, tmp_path)
    if reader.name in ('clip folder', 'clip vocabulary'):  # of a real one only the form
        assert outcome(reader, tmp_path) == 'refused'
    else:
        assert outcome(reader, tmp_path) == 'accepted'


@pytest.mark.parametrize('reader', READERS, ids=lambda reader: reader.name)
def test_damaged_files_are_read_or_refused(reader, tmp_path, request):
    path, content = _prepared(reader, tmp_path)
    # Over 70 readers: 20,000 inputs, 70,000 with --thorough.
    count = int((1000 if request.config.getoption('--thorough') else 300) * reader.share)
    found = collections.Counter()

    @settings(max_examples=count)
    @given(st.integers(0, 2**63))
    def try_one(seed):
        path.write_bytes(damage(reader.kind, content, random.Random(seed)))
        found[outcome(reader, tmp_path)] += 1

    began = time.monotonic()
    try_one()
    if os.environ.get('VADLAB_READER_TABLE'):
        with open(os.environ['VADLAB_READER_TABLE'], 'a') as file:
            row = (reader.name, found.total(), found['accepted'], found['refused'], 0, 0, time.monotonic() - began)
            file.write('| {} | {} | {} | {} | {} | {} | {:.0f} |\n'.format(*row))
    assert (found['refused'] == 0) == reader.is_forgiving
