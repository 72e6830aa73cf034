"""Processes of one training over gloo, for tests."""

import os

import torch.distributed as dist


def end_rank():
    """End this process when all ranks are here, as the tools do (``vadlab.utils.cli``): nothing is freed."""
    dist.barrier()
    os._exit(0)
