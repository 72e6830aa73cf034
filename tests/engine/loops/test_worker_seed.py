import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from vadlab.engine.loops.worker_seed import seed_worker


class Noise(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return np.random.rand()  # noqa: NPY002


def test_augmentations_differ_by_epoch_and_repeat_by_seed():
    loader = DataLoader(Noise(), num_workers=2, worker_init_fn=seed_worker)
    runs = []
    for _ in range(2):
        torch.manual_seed(0)
        runs.append([torch.cat(list(loader)).tolist() for _ in range(2)])
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[0][1]
    assert len(set(runs[0][0])) == 4


def test_ranks_differ():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    draws = []
    for rank in (0, 1):
        torch.set_rng_state(state)
        seed_worker(0, rank=rank)
        draws.append(np.random.rand())  # noqa: NPY002
    assert draws[0] != draws[1]
