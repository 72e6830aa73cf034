import random

import numpy as np
import torch

from vadlab.checkpoints.checkpoint_io import to_plain
from vadlab.engine.random_state import capture_random_state, restore_random_state


def draw():
    return random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), torch.rand(1).item()  # noqa: NPY002


def test_generators_go_on_from_a_saved_checkpoint(tmp_path):
    draw()
    torch.save(to_plain(capture_random_state()), tmp_path / 'state.pth')
    expected = [draw() for _ in range(3)]
    restore_random_state(torch.load(tmp_path / 'state.pth', weights_only=True))
    assert [draw() for _ in range(3)] == expected
