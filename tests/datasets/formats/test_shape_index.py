import os
import random
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.datasets.feature_sets import write_npy
from vadlab.datasets.formats import shape_index
from vadlab.datasets.formats.feature_files import FeatureShape
from vadlab.datasets.formats.shape_index import INDEX_FILE, load_index, look_at_files
from vadlab.datasets.snippet_features import SnippetFeatures
from vadlab.utils.errors import DataError, VADLabError

NEVER = 10**9


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """An index for any number of files, which trusts times of 20 ms ago: the system's are exact to 4 ms or better."""
    monkeypatch.setattr(shape_index, 'FEWEST_FILES', 0)
    monkeypatch.setattr(shape_index, 'YOUNG_NS', 20_000_000)


def files_of(root):
    return sorted(str(path) for path in root.rglob('*.npy'))


def wait_until_files_are_old():
    time.sleep(0.03)


def content(root):
    """The data set of a folder, or its error."""
    try:
        dataset = SnippetFeatures(str(root), feature_dir=str(root), serialize_data=False)
    except VADLabError as error:
        return str(error)
    return [(info['video_id'], info['num_snippets'], info['crop_columns']) for info in dataset.data_list]


def change(root, rng):
    """One of the things that happen to files of features."""
    files = files_of(root)
    kinds = [
        'add',
        'remove',
        'other shape',
        'same size',
        'same size and time',
        'swap',
        'truncate',
        'damage',
        'touch',
        'mode',
        'index',
    ]
    kind = rng.choice(kinds) if files else 'add'
    path = rng.choice(files) if files else ''
    stat = os.stat(path) if path else None
    if kind == 'add':
        write_npy(
            root / rng.choice(['Arson', 'Normal']) / f'Arson{rng.randrange(30):03d}_x264.npy', rng.choice([2, 4, 8])
        )
    elif kind == 'remove':
        os.unlink(path)
    elif kind == 'other shape':
        np.save(path, np.zeros((rng.randrange(1, 20), 8), np.float16))
    elif kind in ('same size', 'same size and time'):  # (2, 8), (4, 4), ..: headers are padded to one length
        size = max((stat.st_size - 128) // 2, 4)
        np.save(
            path,
            np.zeros((rng.choice([n for n in (1, 2, 4) if size % n == 0]), size), np.float16)[:, : max(size // 4, 1)],
        )
        rows = rng.choice([n for n in (1, 2, 4, 8) if size % n == 0])
        np.save(path, np.zeros((rows, size // rows), np.float16))
        if kind == 'same size and time':
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    elif kind == 'swap':
        other = rng.choice(files)
        os.rename(path, f'{path}.tmp')
        if other != path:
            os.rename(other, path)
        os.rename(f'{path}.tmp', other)
    elif kind == 'truncate':
        os.truncate(path, rng.randrange(stat.st_size + 1))
    elif kind == 'damage':
        with open(path, 'r+b') as file:
            file.seek(rng.randrange(stat.st_size) if stat.st_size else 0)
            file.write(bytes([rng.randrange(256)]))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    elif kind == 'touch':
        os.utime(path)
    elif kind == 'mode':
        os.chmod(path, rng.choice([0o600, 0o644]))
    elif (root / INDEX_FILE).is_file():
        found = bytearray((root / INDEX_FILE).read_bytes())
        found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
        (root / INDEX_FILE).write_bytes(found)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_a_data_set_with_index_is_the_one_without_after_any_changes(seed, tmp_path_factory, monkeypatch):
    rng = random.Random(seed)
    root = tmp_path_factory.mktemp('features')
    for i in range(6):
        write_npy(root / 'Arson' / f'Arson{i:03d}_x264.npy', 2 + 2 * (i % 2))
    for _ in range(5):
        for _ in range(rng.randrange(3)):
            change(root, rng)
        if rng.random() < 0.7:
            wait_until_files_are_old()
        with_index = content(root)
        with monkeypatch.context() as without:
            without.setattr(shape_index, 'FEWEST_FILES', NEVER)
            assert with_index == content(root)


def opened(monkeypatch):
    """Paths whose headers are read from now on."""
    found = []
    read = shape_index.read_feature_shape
    monkeypatch.setattr(shape_index, 'read_feature_shape', lambda path: (found.append(path), read(path))[1])
    return found


def test_only_new_and_changed_files_are_opened(tmp_path, monkeypatch):
    for i in range(4):
        write_npy(tmp_path / f'v{i}.npy', 2 + i, crops=None if i else 10)
    wait_until_files_are_old()
    read = opened(monkeypatch)
    paths = files_of(tmp_path)
    first = look_at_files(str(tmp_path), paths, paths)
    assert first == [(FeatureShape(2, 10, 8), ''), *((FeatureShape(2 + i, None, 8), '') for i in (1, 2, 3))]
    assert sorted(read) == paths
    read.clear()
    assert look_at_files(str(tmp_path), paths, paths) == first
    assert look_at_files(str(tmp_path), paths[::-1], paths) == first[::-1]
    assert read == []

    write_npy(tmp_path / 'v9.npy', 3)
    (tmp_path / 'v1.npy').unlink()
    np.save(tmp_path / 'v2.npy', np.zeros((2, 16), np.float16))  # as many bytes as before
    wait_until_files_are_old()
    paths = files_of(tmp_path)
    assert look_at_files(str(tmp_path), paths, paths)[1:] == [
        (FeatureShape(2, None, 16), ''),
        (FeatureShape(5, None, 8), ''),
        (FeatureShape(3, None, 8), ''),
    ]
    assert sorted(read) == [str(tmp_path / 'v2.npy'), str(tmp_path / 'v9.npy')]
    assert set(load_index(str(tmp_path)).names) == {b'v0.npy', b'v2.npy', b'v3.npy', b'v9.npy'}


def test_files_that_changed_just_now_are_not_trusted(tmp_path, monkeypatch):
    monkeypatch.setattr(shape_index, 'YOUNG_NS', 2_500_000_000)
    write_npy(tmp_path / 'v.npy', 2)
    paths = files_of(tmp_path)
    look_at_files(str(tmp_path), paths, paths)
    assert load_index(str(tmp_path)).names == []


def test_files_with_a_time_in_the_future_are_read_once(tmp_path, monkeypatch):
    """Copies from a machine whose clock is ahead; a change is noticed all the same."""
    write_npy(tmp_path / 'v.npy', 2)
    ahead = time.time_ns() + 3_600 * 10**9
    os.utime(tmp_path / 'v.npy', ns=(ahead, ahead))
    wait_until_files_are_old()
    paths = files_of(tmp_path)
    read = opened(monkeypatch)
    for _ in range(2):
        assert look_at_files(str(tmp_path), paths, paths) == [(FeatureShape(2, None, 8), '')]
    assert len(read) == 1
    np.save(tmp_path / 'v.npy', np.zeros((8, 2), np.float32))
    os.utime(tmp_path / 'v.npy', ns=(ahead, ahead))
    assert look_at_files(str(tmp_path), paths, paths) == [(FeatureShape(8, None, 2), '')]


def test_files_that_cannot_be_used_are_read_each_time(tmp_path, monkeypatch):
    write_npy(tmp_path / 'a.npy', 2)
    (tmp_path / 'b.npy').write_bytes(b'none')
    wait_until_files_are_old()
    paths = files_of(tmp_path)
    for _ in range(2):
        assert look_at_files(str(tmp_path), paths, paths)[1] == (None, 'is not an .npy file')
    (tmp_path / 'b.npy').unlink()
    assert look_at_files(str(tmp_path), paths, paths)[1][0] is None


def test_a_folder_that_cannot_be_written_is_read_each_time_and_said(tmp_path, monkeypatch, capsys):
    write_npy(tmp_path / 'a.npy', 2)
    wait_until_files_are_old()
    paths = files_of(tmp_path)

    def refuse(path, mode):
        raise PermissionError(13, 'Permission denied', path)

    said = []
    monkeypatch.setattr(shape_index, 'log', lambda message, level: said.append(message))
    monkeypatch.setattr(shape_index, 'open', refuse, raising=False)
    read = opened(monkeypatch)
    for _ in range(2):
        assert look_at_files(str(tmp_path), paths, paths) == [(FeatureShape(2, None, 8), '')]
    assert len(read) == 2
    assert len(said) == 2
    assert f'{tmp_path / INDEX_FILE} cannot be written (Permission denied): every start opens all files' in said[0]
    assert os.listdir(tmp_path) == ['a.npy']


def test_a_damaged_index_is_said_and_made_again(tmp_path, monkeypatch):
    write_npy(tmp_path / 'a.npy', 2)
    wait_until_files_are_old()
    paths = files_of(tmp_path)
    look_at_files(str(tmp_path), paths, paths)
    good = (tmp_path / INDEX_FILE).read_bytes()
    (tmp_path / INDEX_FILE).write_bytes(good[: len(good) // 2])
    said = []
    monkeypatch.setattr(shape_index, 'log', lambda message, level: said.append(message))
    assert look_at_files(str(tmp_path), paths, paths) == [(FeatureShape(2, None, 8), '')]
    assert len(said) == 1
    assert 'cannot be used and is made again' in said[0]
    assert load_index(str(tmp_path)).names == [b'a.npy']


def test_a_rank_that_may_not_write_leaves_the_folder_alone(tmp_path):
    write_npy(tmp_path / 'a.npy', 2)
    wait_until_files_are_old()
    assert look_at_files(str(tmp_path), files_of(tmp_path), may_write=False)[0][0] == FeatureShape(2, None, 8)
    assert os.listdir(tmp_path) == ['a.npy']


def test_files_outside_the_folder_and_names_that_are_not_text_are_read(tmp_path):
    outside = write_npy(tmp_path / 'elsewhere' / 'v.npy', 3)
    root = tmp_path / 'features'
    inside = write_npy(root / 'v.npy', 2)
    odd = os.path.join(os.fsencode(root), b'\xff.npy')
    os.rename(write_npy(root / 'w.npy', 4), odd)
    wait_until_files_are_old()
    paths = [str(outside), str(inside), os.fsdecode(odd)]
    for _ in range(2):
        assert [look[0].num_snippets for look in look_at_files(str(root), paths, paths)] == [3, 2, 4]
    assert load_index(str(root)).names == [b'v.npy', b'\xff.npy']


def test_small_sets_have_no_index(tmp_path, monkeypatch):
    monkeypatch.setattr(shape_index, 'FEWEST_FILES', 2000)
    write_npy(tmp_path / 'a.npy', 2)
    wait_until_files_are_old()
    assert look_at_files(str(tmp_path), files_of(tmp_path))[0][0] == FeatureShape(2, None, 8)
    assert os.listdir(tmp_path) == ['a.npy']


def test_processes_that_start_at_once_leave_a_whole_index(tmp_path):
    for i in range(50):
        write_npy(tmp_path / f'v{i:02d}.npy', 1 + i)
    wait_until_files_are_old()
    code = (
        'import sys\n'
        'from vadlab.datasets.formats import shape_index as s\n'
        's.FEWEST_FILES, s.YOUNG_NS = 0, 20_000_000\n'
        'paths = sys.argv[2:]\n'
        'for _ in range(5):\n'
        '    looks = s.look_at_files(sys.argv[1], paths, paths)\n'
        '    assert [look[0].num_snippets for look in looks] == list(range(1, 51))\n'
    )
    command = [sys.executable, '-c', code, str(tmp_path), *files_of(tmp_path)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    assert len(load_index(str(tmp_path)).names) == 50
    assert sorted(os.listdir(tmp_path)) == [INDEX_FILE, *(f'v{i:02d}.npy' for i in range(50))]


def test_a_changed_file_that_no_longer_fits_is_refused(tmp_path):
    for name in ('Arson001_x264', 'Normal_Videos_001_x264'):
        write_npy(tmp_path / f'{name}.npy', 4)
    wait_until_files_are_old()
    assert len(content(tmp_path)) == 2
    np.save(tmp_path / 'Arson001_x264.npy', np.zeros((2, 16), np.float16))
    with pytest.raises(DataError, match='videos have features of another size'):
        SnippetFeatures(str(tmp_path), feature_dir=str(tmp_path))
