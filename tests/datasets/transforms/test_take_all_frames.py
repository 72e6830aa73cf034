import numpy as np

from vadlab.datasets.transforms.take_all_frames import TakeAllFrames


def test_every_frame_is_taken_once():
    found = TakeAllFrames()(dict(total_frames=4))['frame_inds']
    assert found.tolist() == [0, 1, 2, 3]
    assert found.dtype == np.int64
