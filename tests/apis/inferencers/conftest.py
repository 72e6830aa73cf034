from pathlib import Path

import pytest
import torch

from tests.tools import tiny_ucf
from vadlab.registry import MODELS
from vadlab.utils.config import load_config
from vadlab.utils.setup_env import register_all_modules

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope='session')
def tiny(tmp_path_factory):
    """A folder with a tiny FG-CLIP of random weights (config.py, weights.pth) and its videos (data/Videos)."""
    folder = tmp_path_factory.mktemp('tiny')
    data = tiny_ucf.write_data(folder / 'data')
    (folder / 'config.py').write_text(tiny_ucf.CONFIG.format(root=ROOT, data=data))
    register_all_modules()
    torch.manual_seed(0)
    model = MODELS.build(load_config(folder / 'config.py').model)
    torch.nn.init.normal_(model.visual_projection.weight)
    torch.save({'state_dict': model.state_dict()}, folder / 'weights.pth')
    return folder


@pytest.fixture(scope='session')
def videos(tiny):
    """Names of the videos by path."""
    return sorted((tiny / 'data' / 'Videos').rglob('*.mp4'))
