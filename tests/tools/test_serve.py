"""tools/serve.py: one message for each thing that is wrong, and a real service from start to stop."""

import builtins
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.apis.service.hostile_files import write_gif
from vadlab.apis.service.client import ServiceClient, ServiceRefusedError
from vadlab.registry import MODELS
from vadlab.utils.config import load_config
from vadlab.utils.errors import ConfigError, MissingDependencyError, MissingFileError

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / 'configs' / 'fgclip_demo_zero_shot.py')


@pytest.fixture
def serve(load_tool, tmp_path, monkeypatch):
    """The command, with folders in ``tmp_path``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('VADLAB_TOKEN', raising=False)
    return load_tool('serve').main


def test_a_port_in_use_is_named(serve):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigError, match=f'--port {port} is in use on 127.0.0.1. Stop the other program, or choose'
        ):
            serve([CONFIG, 'none', '--port', str(port)])


@pytest.mark.parametrize(
    ('options', 'error', 'words'),
    [
        (['--port', '70000'], ConfigError, '--port 70000 is not in'),
        (['--host', '0.0.0.0'], ConfigError, 'needs a token'),
        (['--allow-host', 'cams.example'], ConfigError, 'needs a token'),
        (['--token-file', 'nowhere'], MissingFileError, 'There is no file nowhere'),
        (['--host', 'no such host', '--token-file', 'token'], ConfigError, 'is not an address of this machine'),
        (['--host', '192.0.2.1', '--token-file', 'token'], ConfigError, r'--host 192\.0\.2\.1 --port 0 cannot be used'),
        (['--max-gb', '0'], ConfigError, '--max-gb must be > 0'),
        (['--max-hours', 'nan'], ConfigError, '--max-hours must be > 0'),
        (['--watch', 'nowhere'], MissingFileError, '--watch nowhere: there is no such folder'),
        (['--data', 'token'], ConfigError, '--data .*token is a file'),
    ],
)
def test_a_wrong_option_is_named(serve, tmp_path, options, error, words):
    (tmp_path / 'token').write_text('0123456789abcdef0123')
    with pytest.raises(error, match=words):
        serve([CONFIG, 'none', '--port', '0', *options])


def test_a_missing_package_is_named_with_the_command_that_installs_it(serve, monkeypatch):
    real = builtins.__import__

    def without_uvicorn(name, *args, **options):
        if name.partition('.')[0] == 'uvicorn':
            raise ImportError('no uvicorn')
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, '__import__', without_uvicorn)
    with pytest.raises(
        MissingDependencyError, match=r'needs the package uvicorn. Install it: pip install "vadlab\[service\]"'
    ):
        serve([CONFIG, 'none', '--port', '0'])


@pytest.mark.slow
def test_a_checkpoint_of_another_config_is_one_message(tiny_file, tmp_path):
    torch.save({'state_dict': {'other.weight': torch.zeros(2)}}, tmp_path / 'other.pth')
    command = [
        sys.executable,
        'tools/serve.py',
        str(tiny_file),
        str(tmp_path / 'other.pth'),
        '--data',
        str(tmp_path / 'd'),
    ]
    found = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, 'PYTHONPATH': str(ROOT)}
    )
    assert found.returncode == 2
    assert found.stderr.startswith('error: ')
    assert 'other.pth' in found.stderr
    assert 'Traceback' not in found.stderr


@pytest.mark.slow
def test_a_real_service_scores_a_video_and_stops_in_order(tiny_file, tiny_data, tmp_path):
    torch.manual_seed(0)
    torch.save({'state_dict': MODELS.build(load_config(tiny_file).model).state_dict()}, tmp_path / 'weights.pth')
    command = [sys.executable, '-u', 'tools/serve.py', str(tiny_file), str(tmp_path / 'weights.pth'), '--port', '0']
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'VADLAB_TOKEN': 'a-token-of-the-test-only'}
    process = subprocess.Popen(
        [*command, '--data', str(tmp_path / 'jobs')], cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith('open http'):
                break
        assert 'token needed: yes' in lines[-1]
        client = ServiceClient(lines[-1].split()[1], 'a-token-of-the-test-only')
        job = client.wait(client.post(tiny_data / 'Videos' / 'Arson001.mp4')['id'])
        assert len(client.frames(job['id'])['scores']) == 24
        assert client.result(job['id'])['name'] == 'Arson001.mp4'
        with pytest.raises(ServiceRefusedError, match='a GIF picture'):
            client.post(write_gif(tmp_path / 'a.mp4'))
        process.send_signal(signal.SIGTERM)
        lines += process.stdout.read().splitlines()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert 'stopped' in lines[-1]
    assert 'a-token-of-the-test-only' not in ''.join(lines)
    assert 'Arson001' not in ''.join(lines)  # names of videos are not in the log
    assert json.loads(json.dumps(job))['state'] == 'done'
