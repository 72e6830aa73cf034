import pytest
import torch
from mmcv.transforms import Compose

from vadlab.datasets.transforms.drop_modality import DropModality
from vadlab.structures import AudioVisualDataSample
from vadlab.utils.errors import ConfigError


def clip(heard=True):
    sample = AudioVisualDataSample(metainfo=dict(clip_id='a', has_audio=heard))
    inputs = dict(video=torch.zeros(2, 3, 4, 4, dtype=torch.uint8), audio=torch.zeros(1, 8, 9) if heard else None)
    return dict(inputs=inputs, data_samples=sample)


def kept(transform, clips=1000, heard=True):
    """How many clips have pictures and sound, pictures only, sound only."""
    torch.manual_seed(0)
    counts = {}
    for _ in range(clips):
        found = transform(clip(heard))
        has = tuple(found['inputs'][name] is not None for name in ('video', 'audio'))
        assert found['data_samples'].has_audio == has[1]
        counts[has] = counts.get(has, 0) + 1
    return counts


def test_shares_are_as_asked_and_no_clip_loses_both():
    counts = kept(Compose([DropModality(video=0.2, audio=0.3)]))
    assert set(counts) == {(True, True), (True, False), (False, True)}
    assert counts[False, True] / 1000 == pytest.approx(0.2, abs=0.05)
    assert counts[True, False] / 1000 == pytest.approx(0.3, abs=0.05)
    assert kept(DropModality()) == {(True, True): 1000}


def test_a_clip_without_sound_keeps_its_pictures():
    assert kept(DropModality(video=1.0), 20, heard=False) == {(True, False): 20}
    assert kept(DropModality(video=1.0), 20) == {(False, True): 20}


@pytest.mark.parametrize('shares', [dict(video=-0.1), dict(audio=1.1), dict(video=0.6, audio=0.6)])
def test_shares_that_cannot_be_are_refused(shares):
    with pytest.raises(ConfigError, match='must be shares that add up to 1 at most'):
        DropModality(**shares)
