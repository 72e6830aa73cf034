"""Clips of packets that PyAV encodes here: what is in them, the budget, and disks that are full."""

import errno
import os
import time

import av
import numpy as np
import pytest

from tests.apis.live.camera_server import until, write_file
from vadlab.apis.live import clips
from vadlab.apis.live.camera_reader import template_of
from vadlab.apis.live.clips import ClipRecorder, ClipWriter


def packets_of(path):
    """A template and the packets of a file, whose source is closed."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        template = template_of(stream)
        return template, [packet for packet in container.demux(stream) if packet.size]


@pytest.fixture
def writer(tmp_path):
    notes = []
    writer = ClipWriter([tmp_path / 'door'], 10**9, notes.append)
    writer.notes = notes
    writer.start()
    yield writer
    writer.stop(20)


def record(writer, folder, path, before_s=1.0, after_s=0.5, most_s=60.0, event=(62, 92)):
    """Send a file's packets as a camera does, 30 per second of ``arrival``, with an event; return the clip."""
    now = 0.0
    recorder = ClipRecorder(folder, writer, before_s, after_s, most_s, lambda: now)
    template, packets = packets_of(path)
    recorder.connected(template)
    clip, finished = None, []
    for number, packet in enumerate(packets):
        now = number / 30
        recorder.packet(packet, now)
        if number == event[0]:
            clip = recorder.begin(1_700_000_000.25)
        if number == event[1]:
            recorder.end(clip, finished.append)
    recorder.lost()
    until(lambda: finished)
    return clip


@pytest.mark.parametrize('codec', ['libx264', 'mpeg4'])
def test_a_clip_has_the_event_and_the_seconds_around_it(tmp_path, writer, codec):
    path = write_file(tmp_path / 'a.mp4', 5.0, grey=lambda s: 40 + round(s * 30), codec=codec)
    clip = record(writer, tmp_path / 'door', path)
    assert clip.is_saved
    assert clip.fault == ''
    saved = tmp_path / 'door' / 'clips' / '20231114T221320-250Z.mp4'
    assert clip.name == 'clips/20231114T221320-250Z.mp4'
    with av.open(str(saved)) as container:
        assert container.streams.video[0].codec_context.name == {'libx264': 'h264'}.get(codec, codec)
        frames = list(container.decode(video=0))
    greys = [np.median(frame.to_ndarray(format='gray')) for frame in frames]
    # One second before frame 62 is frame 32, whose group begins at 30; half a second after frame 92 is 107.
    np.testing.assert_allclose([greys[0], greys[-1]], [40 + 30, 40 + 107], atol=4)
    assert 77 <= len(frames) <= 79
    assert frames[0].time == pytest.approx(0)
    np.testing.assert_allclose(np.diff([frame.time for frame in frames]), 1 / 30, atol=1e-3)


def test_a_long_event_has_the_beginning_only(tmp_path, writer):
    path = write_file(tmp_path / 'a.mp4', 5.0)
    clip = record(writer, tmp_path / 'door', path, most_s=0.5, event=(62, 140))
    assert clip.fault == 'the clip has only the first 0.5 s'
    with av.open(str(tmp_path / 'door' / clip.name)) as container:
        assert 45 <= sum(1 for _ in container.decode(video=0)) <= 49


def test_the_ring_keeps_whole_groups_and_little_memory(tmp_path, monkeypatch):
    recorder = ClipRecorder(tmp_path, None, 1.0, 0.0, 60.0)
    template, packets = packets_of(write_file(tmp_path / 'a.mp4', 4.0))
    recorder.connected(template)
    for number, packet in enumerate(packets):
        recorder.packet(packet, number / 30)
    assert recorder._ring[0].is_key
    assert 30 <= len(recorder._ring) <= 40  # a second, and the rest of a group of 10
    monkeypatch.setattr(clips, '_MOST_RING_BYTES', sum(packet.size for packet in packets[:12]))
    recorder.packet(packets[-1], 4.0)
    assert recorder._ring_bytes <= clips._MOST_RING_BYTES


def test_the_oldest_clips_are_deleted_to_keep_the_budget(tmp_path, writer):
    path = write_file(tmp_path / 'a.mp4', 5.0)
    folder = tmp_path / 'door' / 'clips'
    folder.mkdir(parents=True)
    for age in (30, 20, 10):
        old = folder / f'old{age}.mp4'
        old.write_bytes(bytes(1000))
        os.utime(old, (time.time() - age, time.time() - age))
    clip = record(writer, tmp_path / 'door', path)
    size = (tmp_path / 'door' / clip.name).stat().st_size
    writer.budget_bytes = size + 1000
    writer.make_room()
    assert sorted(file.name for file in folder.iterdir()) == [clip.name.partition('/')[2], 'old10.mp4']
    assert (writer.deleted, writer.deleted_of) == (2, {tmp_path / 'door': 2})


class FullDisk:
    """A file whose writes fail after some bytes, as on a full disk."""

    def __init__(self, file, most):
        self._file, self._left = file, most

    def write(self, data):
        self._left -= len(data)
        if self._left < 0:
            raise OSError(errno.ENOSPC, 'No space left on device')
        return self._file.write(data)

    def __getattr__(self, name):
        return getattr(self._file, name)


@pytest.mark.parametrize('most', [0, 100, 3000])
def test_a_full_disk_costs_the_clip_and_nothing_else(tmp_path, writer, monkeypatch, most):
    path = write_file(tmp_path / 'a.mp4', 5.0)
    opened = type(tmp_path).open
    monkeypatch.setattr(
        type(tmp_path), 'open', lambda self, *args, **options: FullDisk(opened(self, *args, **options), most)
    )
    clip = record(writer, tmp_path / 'door', path)
    assert not clip.is_saved
    assert clip.fault == 'no clip: No space left on device'
    assert writer.fault == clip.fault
    assert [note.rpartition(': ')[2] for note in writer.notes] == ['No space left on device']
    assert list((tmp_path / 'door' / 'clips').iterdir()) == []
    monkeypatch.undo()
    assert record(writer, tmp_path / 'door', path).is_saved  # there is room again
    assert (writer.fault, writer.saved, writer.failed) == ('', 1, 1)


def test_parts_of_a_killed_run_are_removed(tmp_path):
    part = tmp_path / 'door' / 'clips' / '.a.mp4.123.part'
    part.parent.mkdir(parents=True)
    part.touch()
    ClipWriter([tmp_path / 'door', tmp_path / 'new'], 1, print)
    assert not part.exists()


def test_an_event_found_after_the_stream_is_over_has_a_clip(tmp_path, writer):
    """A camera that is broken during an event is lost before its last frames are scored."""
    template, packets = packets_of(write_file(tmp_path / 'a.mp4', 5.0))
    recorder = ClipRecorder(tmp_path / 'door', writer, 1.0, 0.5, 60.0, lambda: 5.0)
    recorder.connected(template)
    for number, packet in enumerate(packets):
        recorder.packet(packet, number / 30)
    recorder.lost()
    clip, finished = recorder.begin(1_700_000_000.25), []
    recorder.end(clip, finished.append)
    until(lambda: finished)
    assert clip.is_saved
    assert clip.fault == ''
    with av.open(str(tmp_path / 'door' / clip.name)) as container:
        assert 30 <= sum(1 for _ in container.decode(video=0)) <= 60
