"""Numbers in file names sort as numbers, wherever files are listed."""

import numpy as np
import pytest
from PIL import Image

from vadlab.apis.features.video_list import find_videos
from vadlab.apis.inferencers.caption_inputs import find_inputs
from vadlab.datasets.formats.frame_masks import read_frame_masks
from vadlab.datasets.formats.path_index import PathIndex
from vadlab.evaluation.region_files import DETECTION_COLUMNS, read_region_files
from vadlab.evaluation.score_files import read_scores

NAMES = ['v1', 'v2', 'v9', 'v10', 'v11', 'v100']


def videos(folder):
    return [path.rsplit('/', 1)[-1].removesuffix('.mp4') for path in PathIndex(folder).paths]


def extracted(folder):
    return [item.name for item in find_videos([folder])]


def pictures(folder):
    return [name.removesuffix('.png') for _, name in find_inputs([folder])]


def boxes(folder):
    return list(read_region_files(folder, DETECTION_COLUMNS))


@pytest.mark.parametrize(
    ('suffix', 'listed'),
    [
        ('.mp4', videos),
        ('.mp4', extracted),
        ('.png', pictures),
        ('.npy', lambda folder: list(read_scores(folder))),
        ('.npy', lambda folder: list(read_frame_masks(folder))),
        ('.txt', boxes),
    ],
)
def test_files_are_listed_in_natural_order(tmp_path, suffix, listed):
    for name in reversed(NAMES):
        path = tmp_path / f'{name}{suffix}'
        if suffix == '.npy':
            np.save(path, np.zeros(3))
        elif suffix == '.png':
            Image.new('L', (2, 2)).save(path)
        else:
            path.write_text('')
    assert listed(tmp_path) == NAMES
