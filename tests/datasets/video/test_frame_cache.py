import multiprocessing
import os
import shutil

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from vadlab.datasets.video import FrameCache
from vadlab.utils.errors import ConfigError, MissingFileError

RECIPE = dict(backend='pyav', size=(32, 40))


@pytest.fixture
def video(tmp_path):
    path = tmp_path / 'video.mp4'
    path.write_bytes(b'content')
    return str(path)


def smooth_frames(n=6, seed=0):
    """Frames such as a camera sees: no detail at the scale of a pixel."""
    generator = np.random.default_rng(seed)
    coarse = generator.uniform(0, 255, (n, 5, 6, 3))
    rows, columns = np.linspace(0, 3.99, 32), np.linspace(0, 4.99, 40)
    r, c = rows.astype(int), columns.astype(int)
    fr, fc = (rows - r)[None, :, None, None], (columns - c)[None, None, :, None]
    top = coarse[:, r][:, :, c] * (1 - fc) + coarse[:, r][:, :, c + 1] * fc
    bottom = coarse[:, r + 1][:, :, c] * (1 - fc) + coarse[:, r + 1][:, :, c + 1] * fc
    return np.round(top * (1 - fr) + bottom * fr).astype(np.uint8)


class Decoder:
    def __init__(self, frames):
        self.frames, self.calls = frames, 0

    def __call__(self):
        self.calls += 1
        return self.frames


@pytest.mark.parametrize(('format', 'tolerance'), [('raw', 0), ('jpeg', 3)])
def test_second_read_needs_no_decoding_and_equals_the_first(tmp_path, video, format, tolerance):
    decode = Decoder(smooth_frames())
    cache = FrameCache(str(tmp_path / 'cache'), format)
    inds = np.arange(0, 60, 10)
    first = cache.get(video, inds, RECIPE, decode)
    second = cache.get(video, inds, RECIPE, decode, select=np.array([5, 0, 0, 3]))
    assert decode.calls == 1
    np.testing.assert_array_equal(second, first[[5, 0, 0, 3]])
    assert np.abs(first.astype(int) - decode.frames).mean() <= tolerance


@pytest.mark.parametrize('change', ['frames', 'recipe', 'mtime', 'format'])
def test_anything_the_pixels_depend_on_is_part_of_the_key(tmp_path, video, change):
    decode = Decoder(smooth_frames(3))
    cache = FrameCache(str(tmp_path / 'cache'))
    inds, recipe = np.array([1, 2, 3]), dict(RECIPE)
    cache.get(video, inds, recipe, decode)
    if change == 'frames':
        inds = np.array([1, 2, 4])
    elif change == 'recipe':
        recipe['size'] = (32, 41)
    elif change == 'mtime':
        os.utime(video, (1, 1))
    else:
        cache = FrameCache(str(tmp_path / 'cache'), 'raw')
    cache.get(video, inds, recipe, decode)
    assert decode.calls == 2


@pytest.mark.parametrize('format', ['raw', 'jpeg'])
@pytest.mark.parametrize('damage', ['cut', 'noise', 'empty', 'other'])
def test_a_damaged_entry_is_made_anew(tmp_path, video, log_lines, format, damage):
    decode = Decoder(smooth_frames())
    cache = FrameCache(str(tmp_path / 'cache'), format)
    inds = np.arange(6)
    expected = cache.get(video, inds, RECIPE, decode)
    path = cache.path_for(video, inds, RECIPE)
    content = bytearray(path.read_bytes())
    if damage == 'cut':
        content = content[: len(content) // 2]
    elif damage == 'noise':
        content[0:40] = bytes(40)
    elif damage == 'empty':
        content = b''
    else:
        np.save(path.with_suffix('.npy'), np.zeros((2, 2)))
        content = path.with_suffix('.npy').read_bytes()
    path.write_bytes(content)
    np.testing.assert_array_equal(cache.get(video, inds, RECIPE, decode), expected)
    assert decode.calls == 2
    assert any('is damaged and is made again' in line for line in log_lines)
    cache.get(video, inds, RECIPE, decode)
    assert decode.calls == 2


@pytest.mark.parametrize('format', ['raw', 'jpeg'])
def test_one_changed_byte_anywhere_is_noticed(tmp_path, video, log_lines, format):
    cache = FrameCache(str(tmp_path / 'cache'), format)
    decode = Decoder(smooth_frames())
    inds = np.arange(6)
    expected = cache.get(video, inds, RECIPE, decode)
    path = cache.path_for(video, inds, RECIPE)
    whole = path.read_bytes()
    places = [*range(80), *np.random.default_rng(0).integers(80, len(whole), 60).tolist(), len(whole) - 1]
    for calls, place in enumerate(places, 2):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        np.testing.assert_array_equal(cache.get(video, inds, RECIPE, decode), expected)
        assert decode.calls == calls, place
    # A frame that is asked for is good where another one is not.
    content = bytearray(whole)
    content[-1] ^= 1
    path.write_bytes(content)
    first = cache.get(video, inds, RECIPE, decode, select=np.array([0, 1]))
    np.testing.assert_array_equal(first, expected[:2])
    assert decode.calls == len(places) + 1


def test_oldest_entries_go_when_the_budget_is_spent(tmp_path, video):
    frames = smooth_frames(2)
    cache = FrameCache(str(tmp_path / 'cache'), 'raw', max_gb=2.5 * (frames.nbytes + 128) / 1e9)
    paths = []
    for i in range(3):
        cache.get(video, np.array([i, i + 10]), RECIPE, lambda: frames)
        paths.append(cache.path_for(video, np.array([i, i + 10]), RECIPE))
        if paths[-1].exists():
            os.utime(paths[-1], (1000 + i, 1000 + i))
    assert [path.exists() for path in paths] == [False, True, True]


def test_an_entry_beyond_the_whole_budget_is_not_stored(tmp_path, video):
    decode = Decoder(smooth_frames(2))
    cache = FrameCache(str(tmp_path / 'cache'), 'raw', max_gb=1e-6)
    for _ in range(2):
        np.testing.assert_array_equal(cache.get(video, np.arange(2), RECIPE, decode), decode.frames)
    assert decode.calls == 2
    assert list((tmp_path / 'cache').iterdir()) == []


@pytest.mark.parametrize('error', [OSError(28, 'No space left on device'), OSError('8000 requested and 64 written')])
def test_full_disk_switches_the_cache_off_with_one_warning(tmp_path, video, log_lines, monkeypatch, error):
    def full(*_):
        raise error

    cache = FrameCache(str(tmp_path / 'cache'), 'raw')
    monkeypatch.setattr('vadlab.datasets.video.frame_cache._write_blobs', full)
    decode = Decoder(smooth_frames(2))
    for i in range(3):
        np.testing.assert_array_equal(cache.get(video, np.array([i, 9]), RECIPE, decode), decode.frames)
    assert len(log_lines) == 1
    assert str(error.strerror or error) in log_lines[0]
    assert list((tmp_path / 'cache').iterdir()) == []


@pytest.mark.parametrize('format', ['raw', 'jpeg'])
@pytest.mark.parametrize('what', ['file', 'file above', 'folder for an entry'])
def test_a_folder_that_becomes_something_else_costs_one_warning(tmp_path, video, log_lines, format, what):
    folder = tmp_path / 'data' / 'cache'
    cache = FrameCache(str(folder), format)
    decode = Decoder(smooth_frames(2))
    expected = cache.get(video, np.arange(2), RECIPE, decode)
    entry = cache.path_for(video, np.arange(2), RECIPE)
    if what == 'folder for an entry':
        entry.unlink()
        entry.mkdir()
    else:
        shutil.rmtree(folder if what == 'file' else folder.parent)
        (folder if what == 'file' else folder.parent).write_text('not a folder')
    for _ in range(3):
        found = cache.get(video, np.arange(2), RECIPE, decode)
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found, decode.frames)
    assert decode.calls == 4
    assert len(log_lines) == 1
    assert 'switched off' in log_lines[0]


def test_a_video_that_vanished_is_a_missing_file(tmp_path, video):
    cache = FrameCache(str(tmp_path / 'cache'))
    os.unlink(video)
    with pytest.raises(MissingFileError, match=r'There is no video .*video\.mp4'):
        cache.get(video, np.arange(2), RECIPE, Decoder(smooth_frames(2)))


def test_what_a_killed_writer_left_is_removed_in_time(tmp_path, video):
    cache = FrameCache(str(tmp_path / 'cache'), 'raw')
    (tmp_path / 'cache').mkdir()
    old, fresh = tmp_path / 'cache' / '.a.1.tmp', tmp_path / 'cache' / '.b.2.tmp'
    old.write_bytes(b'half')
    fresh.write_bytes(b'half')
    os.utime(old, (1, 1))
    cache.get(video, np.arange(2), RECIPE, lambda: smooth_frames(2))
    assert not old.exists()
    assert fresh.exists()


def _use(folder, video, queue):
    cache = FrameCache(folder, max_gb=1e-5)
    ok = True
    for i in range(20):
        inds = np.array([i % 4, 10])
        frames = smooth_frames(2, seed=i % 4)
        got = cache.get(video, inds, RECIPE, lambda frames=frames: frames)
        ok &= np.abs(got.astype(int) - frames).mean() < 4
    queue.put(bool(ok))


def test_several_workers_share_a_folder_that_is_too_small(tmp_path, video):
    context = multiprocessing.get_context('fork')
    queue = context.Queue()
    workers = [context.Process(target=_use, args=(str(tmp_path / 'cache'), video, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    results = [queue.get(timeout=300) for _ in workers]
    for worker in workers:
        worker.join()
    assert results == [True, True]


def test_options_that_cannot_be():
    with pytest.raises(ConfigError, match="no format 'png'. Known: jpeg, raw"):
        FrameCache('x', 'png')
    with pytest.raises(ConfigError, match='max_gb must be > 0'):
        FrameCache('x', max_gb=0)


class _Cached(torch.utils.data.Dataset):
    def __init__(self, cache, video):
        self.cache, self.video = cache, video

    def __len__(self):
        return 12

    def __getitem__(self, i):
        return int(self.cache.get(self.video, np.array([i, i + 20]), RECIPE, Decoder(smooth_frames(2))).sum())


def test_of_several_workers_one_warns(tmp_path, video, capfd):
    MMLogger.get_instance(f'workers_{tmp_path.name}')  # an older logger writes to the terminal of its own time
    (tmp_path / 'cache').write_text('not a folder')
    cached = _Cached(FrameCache(str(tmp_path / 'cache')), video)
    assert len(set(map(int, torch.utils.data.DataLoader(cached, num_workers=2)))) == 1
    said = capfd.readouterr()
    assert (said.out + said.err).count('switched off') == 1
