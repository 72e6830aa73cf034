"""tools/video_captions_to_coco.py: videos with captions become what COCOCaptions reads."""

import json

import cv2
import numpy as np
import pytest

from vadlab.datasets.coco_captions import COCOCaptions
from vadlab.datasets.video import read_frames
from vadlab.utils.errors import ConfigError

from .tiny_ucf import record, write_video


@pytest.fixture
def convert(load_tool, tmp_path):
    write_video(tmp_path / 'videos' / 'Abuse001.mp4')
    (tmp_path / 'train.json').write_text(json.dumps([record('Abuse001.mp4', 'a fight', True)]))
    tool = load_tool('video_captions_to_coco')
    paths = [str(tmp_path / 'train.json'), '--data-root', str(tmp_path / 'videos'), '--out', str(tmp_path / 'coco')]
    return lambda *arguments: tool.main([*paths, *arguments])


def test_images_are_the_frames_with_the_captions_of_what_they_show(convert, tmp_path):
    assert convert('--frames', '6') == 0
    data = COCOCaptions('train.json', str(tmp_path / 'coco'), 'images', rows='images', splits=['train'])
    rows = [data.get_data_info(i) for i in range(len(data))]
    frames = [int(str(row['image_id']).removesuffix('.jpg')[-6:]) for row in rows]
    assert frames == sorted(frames)
    assert len(set(frames)) == 6
    for frame, row in zip(frames, rows, strict=True):
        # The region of the record is shown in frames 4 to 20, its end included.
        assert row['captions'] == (['a fight', 'a fight, seen near'] if 4 <= frame <= 20 else ['a fight'])
    wanted = read_frames(str(tmp_path / 'videos' / 'Abuse001.mp4'), np.array(frames))
    written = [cv2.imread(row['image_path'])[..., ::-1] for row in rows]
    assert np.abs(np.stack(written).astype(int) - wanted).mean() < 6  # noise, as JPEG keeps it


def test_wrong_wishes_are_refused(convert):
    convert('--split', 'val')
    with pytest.raises(ConfigError, match=r'val\.json exists'):
        convert('--split', 'val')
    with pytest.raises(ConfigError, match='at least 1 is needed'):
        convert('--frames', '0')
    with pytest.raises(ConfigError, match='plain name'):
        convert('--split', '../x')
