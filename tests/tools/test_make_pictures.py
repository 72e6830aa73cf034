"""docs/make_pictures.py, with random weights, whose scores are events by a calibration that allows every alarm."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.tools.tiny_ucf import write_video
from vadlab.registry import MODELS
from vadlab.utils.config import load_config
from vadlab.utils.setup_env import register_all_modules

ROOT = Path(__file__).parents[2]
SIZES = {'service.png': (900, 680), 'report.png': (1120, 1010), 'wall.png': (1180, 640)}  # of the pages' windows

pytest.importorskip('playwright.sync_api', reason='playwright is missing: pip install playwright')


@pytest.mark.slow
@pytest.mark.skipif(
    not any(map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))),
    reason='no Chromium: apt-get install chromium',
)
def test_three_pictures_of_pages_are_made(load_tool, tmp_path):
    register_all_modules()
    torch.manual_seed(0)
    config, weights = str(ROOT / 'configs/fgclip_demo.py'), tmp_path / 'weights.pth'
    torch.save({'state_dict': MODELS.build(load_config(config).model).state_dict()}, weights)
    calm = str(write_video(tmp_path / 'calm.mp4'))
    options = ['--false-alarms-per-hour', '1e9', '--low-quantile', '0']
    assert load_tool('calibrate').main([config, str(weights), calm, *options]) == 0
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    out = tmp_path / 'pictures'
    command = [
        sys.executable,
        'docs/make_pictures.py',
        str(weights),
        '--out',
        str(out),
        '--port',
        port,
        '--frames',
        '250',
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f'{out}: report.png, service.png, wall.png' in done.stdout
    assert sorted(path.name for path in out.iterdir()) == sorted(SIZES)
    for name, size in SIZES.items():
        with Image.open(out / name) as picture:
            assert (picture.size, picture.mode) == (size, 'P')
            colours = picture.convert('RGB').getcolors(2**16)
        assert 50 < len(colours) <= 256  # an empty page has a few
