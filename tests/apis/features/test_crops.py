import numpy as np
import pytest
import torch

from vadlab.apis.features.crops import CropViews
from vadlab.utils.errors import ConfigError


def frame(height=256, width=340):
    """Each pixel tells its row, its column and nothing else."""
    rows, columns = np.mgrid[:height, :width]
    return torch.from_numpy(np.stack([rows % 256, columns % 256, columns // 256], -1).astype(np.uint8))[None, None]


def corner(view):
    """Row and column of a crop's top left pixel in the whole frame."""
    return int(view[0, 0, 0]), int(view[1, 0, 0]) + 256 * int(view[2, 0, 0])


def test_vadclip_order_and_places():
    """256x340 cut at 224 as the public script cuts: centre at 16, 58; 5 to 9 are 0 to 4 mirrored."""
    views = CropViews(224, 10, 'centre_first')(frame())[0, :, 0]
    assert views.shape == (10, 3, 224, 224)
    places = [(16, 58), (0, 0), (0, 116), (32, 0), (32, 116)]
    assert [corner(view) for view in views[:5]] == places
    for i in range(5):
        assert torch.equal(views[i + 5], views[i].flip(-1))


def test_torchvision_order_mirrors_before_it_cuts():
    cut = CropViews(224, 10, 'torchvision')
    views = cut(frame())[0, :, 0]
    assert [corner(view) for view in views[:5]] == [(0, 0), (0, 116), (32, 0), (32, 116), (16, 58)]
    assert torch.equal(views[5], views[1].flip(-1))  # the mirrored frame's top left
    assert torch.equal(views[9], views[4].flip(-1))
    mirrored = CropViews(224, 5, 'torchvision')(frame().flip(-2))[0, :, 0]
    assert torch.equal(views[5:], mirrored)
    assert cut.names[5] == 'flip_top_right'


def test_one_crop_is_the_centre_in_every_order():
    for order in ('centre_first', 'torchvision', 'i3d_resnet'):
        views = CropViews(128, 1, order)(frame(128, 200))
        assert corner(views[0, 0, 0]) == (0, 36)


def test_wrong_settings():
    with pytest.raises(ConfigError, match='3 crops; there are 1, 5 and 10'):
        CropViews(224, 3)
    with pytest.raises(ConfigError, match="crop_order='vadclip' is not one of centre_first"):
        CropViews(224, 5, 'vadclip')
