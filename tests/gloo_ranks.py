"""Processes of one training over gloo, for tests."""

import os

import torch.distributed as dist


def end_rank():
    """End this process when all ranks are here.

    In torch 2.13, a process group that is freed with its DistributedDataParallel may wait without end for its own
    thread, which waits for Python's lock. So nothing is freed.
    """
    dist.barrier()
    os._exit(0)
