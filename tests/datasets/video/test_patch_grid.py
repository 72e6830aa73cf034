import random

import pytest
from transformers.models.siglip2 import image_processing_pil_siglip2

from vadlab.datasets.video.patch_grid import patch_grid


@pytest.mark.parametrize(
    ('size', 'most', 'wanted'),
    [
        ((100, 100), 16, (4, 4)),
        ((100, 200), 8, (2, 4)),
        ((100, 200), 9, (2, 4)),
        ((100, 150), 1, (1, 1)),
        ((1, 1000), 16, (1, 16)),
        ((1000, 1), 16, (16, 1)),
    ],
)
def test_grids_by_hand(size, most, wanted):
    assert patch_grid(*size, most) == wanted


def test_grids_equal_transformers_search_for_the_scale():
    draw = random.Random(0)
    for _ in range(300):
        height, width = draw.randint(1, 2160), draw.randint(1, 3840)
        most = draw.choice([1, 16, 64, 128, 256, 576, 1024])
        theirs = image_processing_pil_siglip2.get_image_size_for_max_num_patches(height, width, 16, most)
        assert patch_grid(height, width, most) == tuple(side // 16 for side in theirs)
