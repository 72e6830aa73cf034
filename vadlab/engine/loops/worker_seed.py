"""Seeding of data loader workers."""

import random
import warnings

import numpy as np
import torch
from mmengine.dist import get_rank

from vadlab.utils.loader_workers import end_where_batches_cannot_be_sent


def seed_worker(
    worker_id: int,
    num_workers: int = 0,
    rank: int | None = None,
    seed: int = 0,
    disable_subprocess_warning: bool = False,
) -> None:
    """Seed Python's and NumPy's generators in a worker from torch's, which differs by worker and by epoch.

    MMEngine seeds a worker with the same number in every epoch, so that an augmentation repeats itself each time the
    workers are started anew.

    Args:
        worker_id (int): Of the loader.
        num_workers (int): Not used; the Runner gives it.
        rank (int | None): Of the process; ranks share torch's seed and must not share augmentations.
        seed (int): Not used; the Runner gives it.
        disable_subprocess_warning (bool): Keep all workers but the first quiet.
    """
    del num_workers, seed
    end_where_batches_cannot_be_sent()
    rank = get_rank() if rank is None else rank
    base = (torch.initial_seed() + 7919 * rank) % 2**32
    random.seed(base)
    np.random.seed(base)  # noqa: NPY002 - transforms draw from it
    torch.manual_seed(base)
    if disable_subprocess_warning and worker_id:
        warnings.simplefilter('ignore')
