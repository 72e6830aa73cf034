"""The command, on a file with a tiny FG-CLIP of random weights: its output, its stop, and wrong input."""

import json
import os
import signal
import threading
import time

import pytest
import torch

from tests.apis.live.camera_server import CameraServer, until, write_file
from vadlab.evaluation.calibration import CalibrationFile
from vadlab.registry import MODELS
from vadlab.structures.camera_state import CameraState, load_events
from vadlab.structures.video_result import Calibration, Thresholds
from vadlab.utils.config import load_config
from vadlab.utils.errors import ConfigError, DataError, MissingFileError
from vadlab.utils.setup_env import register_all_modules

from . import tiny_ucf
from .conftest import ROOT


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """The config and the checkpoint."""
    folder = tmp_path_factory.mktemp('watched')
    (folder / 'config.py').write_text(tiny_ucf.CONFIG.format(root=ROOT, data=folder))
    register_all_modules()
    torch.manual_seed(0)
    built = MODELS.build(load_config(folder / 'config.py').model)
    torch.nn.init.normal_(built.visual_projection.weight)
    torch.save({'state_dict': built.state_dict()}, folder / 'weights.pth')
    return [str(folder / 'config.py'), str(folder / 'weights.pth')]


@pytest.fixture
def watch(load_tool):
    return load_tool('watch').main


def test_a_file_is_watched_to_its_end(watch, model, tmp_path, capsys):
    path = write_file(tmp_path / 'door.mp4', 1.5)
    command = [*model, '--source', str(path), '--out', str(tmp_path / 'out'), '--threshold', '0', '0', '--rate', '10']
    assert watch(command) == 0
    printed = capsys.readouterr()
    assert f'camera door: {path}\n' in printed.out
    assert 'scores: 10 per second and camera, each from its frame and those before it\n' in printed.out
    assert 'events: score >= 0, from and to 0; given on the command line\n' in printed.out
    assert 'door: ended (the file is over)' in printed.out
    assert 'latency, median: decode ' in printed.out
    ((event,), _) = load_events(tmp_path / 'out' / 'door')  # every score is an event at these thresholds
    assert event.note == 'cut: the source ended'
    assert (tmp_path / 'out' / 'door' / event.clip).is_file()
    assert CameraState.load(tmp_path / 'out' / 'door').read == 45


@pytest.mark.parametrize('signum', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(watch, model, tmp_path, signum, capsys):
    out = tmp_path / 'out'
    with CameraServer() as server:

        def stop():
            until(lambda: (out / 'door' / 'status.json').exists() and CameraState.load(out / 'door').scored > 2)
            os.kill(os.getpid(), signum)

        thread = threading.Thread(target=stop)
        thread.start()
        handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
        assert watch([*model, '--source', f'door={server.address}', '--out', str(out), '--threshold', '0.5']) == 0
        thread.join()
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert 'door: ended (stopped)' in capsys.readouterr().out
    assert CameraState.load(out / 'door').message == 'stopped'


def test_a_signal_before_the_end_of_a_file_is_told_as_a_stop(watch, model, tmp_path, capsys):
    """Not as the end of the file, of which more than half is left."""
    path, out = write_file(tmp_path / 'door.mp4', 60.0), tmp_path / 'out'

    def stop():
        until(lambda: (out / 'door' / 'status.json').exists() and CameraState.load(out / 'door').scored > 0)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop)
    thread.start()
    assert watch([*model, '--source', str(path), '--out', str(out), '--threshold', '0', '0']) == 0
    thread.join()
    state = CameraState.load(out / 'door')
    assert (state.state, state.message) == ('ended', 'stopped')
    assert state.read < 1800 / 2
    assert 'door: ended (stopped)' in capsys.readouterr().out
    ((event,), _) = load_events(out / 'door')
    assert event.note == 'cut: watching was stopped'


def test_a_calibration_of_another_checkpoint_is_refused(watch, model, tmp_path):
    path = write_file(tmp_path / 'door.mp4', 0.5)
    beside = model[1].replace('weights.pth', 'weights.calibration.json')
    CalibrationFile(beside, Thresholds(0.9, 0.8), Calibration(1.0, 1, 0.8, 0, 0, ()), 'other', 'all', ()).save()
    try:
        with pytest.raises(ConfigError, match=r'made with other weights. Calibrate again.*--threshold HIGH LOW'):
            watch([*model, '--source', str(path)])
    finally:
        os.remove(beside)


def test_a_calibration_counts_whatever_its_frames(watch, model, tmp_path, capsys):
    """A frame has the same score however many others are sampled."""
    from vadlab.apis.inferencers.vad_inferencer import VADInferencer

    weights = VADInferencer(*model).weights_id
    path = write_file(tmp_path / 'door.mp4', 0.5)
    beside = model[1].replace('weights.pth', 'weights.calibration.json')
    CalibrationFile(beside, Thresholds(0.875, 0.75), Calibration(1.0, 1, 0.8, 0, 0, ()), weights, 'all', ()).save()
    try:
        assert watch([*model, '--source', str(path)]) == 0
    finally:
        os.remove(beside)
    assert 'events: score >= 0.875, from and to 0.75' in capsys.readouterr().out


def test_without_calibration_there_is_a_warning(watch, model, tmp_path, capsys):
    assert watch([*model, '--source', str(write_file(tmp_path / 'door.mp4', 0.3))]) == 0
    assert 'warning: 0.5 is not a useful threshold without calibration' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('options', 'kind', 'message'),
    [
        (['--source', 'nowhere.mp4'], MissingFileError, 'nowhere.mp4'),
        (['--source', 'a=rtsp://x:hunter22@h/1', '--source', 'A=rtsp://h/2'], ConfigError, 'Two cameras'),
        ([], ConfigError, 'There is no camera'),
        (
            ['--source', 'rtsp://h/1', '--backend', 'onnxruntime'],
            MissingFileError,
            'a folder that tools/export.py wrote',
        ),
        (['--source', 'rtsp://h/1', '--rate', '0'], ConfigError, '--rate 0 must be greater than 0'),
        (['--source', 'rtsp://h/1', '--cooldown-s', '-1'], ConfigError, '--cooldown-s -1 must be at least 0'),
        (['--source', 'rtsp://h/1', '--metrics-port', '70000'], ConfigError, 'not a port'),
        (
            ['--source', 'rtsp://h/1', '--threshold', '0.2', '0.4'],
            ConfigError,
            'HIGH=0.2, the first number, is below LOW=0.4',
        ),
        (['--source', 'rtsp://h/1', '--webhook', 'ftp://x'], ConfigError, '--webhook ftp://x'),
        (['--source', 'rtsp://h/1', '--mqtt', 'x'], ConfigError, '--mqtt x'),
    ],
)
def test_wrong_commands_get_one_message(watch, model, tmp_path, monkeypatch, options, kind, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=message) as caught:
        watch([*model, *options])
    assert 'hunter22' not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_is_no_video_is_named(watch, model, tmp_path):
    (tmp_path / 'a.mp4').write_text('no video')
    with pytest.raises(DataError, match=r'1 of 1 sources cannot be read. a \(.*a.mp4\): it is not a video'):
        watch([*model, '--source', str(tmp_path / 'a.mp4'), '--threshold', '0.5'])


def test_a_zone_outside_the_picture_is_named(watch, model, tmp_path):
    path = write_file(tmp_path / 'door.mp4', 0.3)
    content = {'cameras': [{'name': 'door', 'source': str(path), 'zones': {'gate': [[0, 0], [640, 0], [640, 360]]}}]}
    (tmp_path / 'cameras.json').write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"cameras.json: camera 1 \('door'\): the zone 'gate' is outside the picture"):
        watch([*model, '--cameras', str(tmp_path / 'cameras.json')])


def test_an_address_that_does_not_answer_is_tried_again(watch, model, tmp_path, capsys):
    """It is started before its camera is."""
    out = tmp_path / 'out'
    first = CameraServer()
    address = first.address
    first.kill()
    time.sleep(0.1)

    servers = []

    def serve():
        until(lambda: (out / 'watch.log').exists() and 'next try' in (out / 'watch.log').read_text())
        servers.append(first.again())
        until(lambda: (out / 'door' / 'status.json').exists() and CameraState.load(out / 'door').scored > 0)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=serve)
    thread.start()
    assert watch([*model, '--source', f'door={address}', '--out', str(out), '--threshold', '0.5']) == 0
    thread.join()
    servers[0].kill()
    assert 'door: lost: nothing listens there (connection refused); next try in 1 s' in capsys.readouterr().out
