"""Random numbers for transforms."""

import numpy as np
import torch


def new_generator() -> np.random.Generator:
    """A NumPy generator seeded from torch's.

    A loader worker's torch generator is seeded with the loader's seed plus the worker's number, again in each epoch.
    Without workers it is the global generator, whose state is in the checkpoint. So the same run repeats the same
    choices, and no two workers or epochs share them.
    """
    return np.random.default_rng(int(torch.randint(2**62, (1,)).item()))
