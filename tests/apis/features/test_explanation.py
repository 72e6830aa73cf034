"""The cause is built into the features of real (tiny) videos, and has to be found from them."""

import numpy as np
import pytest
import torch

from vadlab.apis.features.comparison import FeatureSet
from vadlab.apis.features.explanation import CHOICES, Attempt, FeatureExplanation
from vadlab.apis.features.extraction import FeatureExtraction
from vadlab.apis.features.video_list import find_videos
from vadlab.utils.errors import DataError


def explain(config, target, folder):
    """The best attempt, and in what it differs from the config."""
    explanation = FeatureExplanation(config, FeatureSet.scan(target), find_videos([folder]))
    steps = explanation.run()
    return steps[-1], explanation.changes(steps)


def extract(config, folder, out, spoil=None):
    extraction = FeatureExtraction(config, out)
    if spoil is not None:
        spoil(extraction.model)
    extraction.run(find_videos([folder]))


def test_features_of_the_config_need_no_explanation(tiny_config, video_folder, tmp_path):
    extract(tiny_config(), video_folder, tmp_path / 'out')
    best, changes = explain(tiny_config(), tmp_path / 'out', video_folder)
    assert changes == []
    assert best.cosine == pytest.approx(1.0, abs=1e-4)
    assert best.crop == 0


def test_swapped_colours(tiny_config, video_folder, tmp_path):
    def swap(model):
        model.mean.copy_(model.mean.flip(0))  # BGR frames, normalised by RGB's numbers,
        model.std.copy_(model.std.flip(0))
        forward = model.vision.forward
        model.vision.forward = lambda frames: forward(frames.flip(1))  # are RGB frames the other way round

    extract(tiny_config(), video_folder, tmp_path / 'out', swap)
    best, changes = explain(tiny_config(), tmp_path / 'out', video_folder)
    assert changes == ['channels: BGR']
    assert best.cosine == pytest.approx(1.0, abs=1e-4)


def test_missing_normalisation(tiny_config, video_folder, tmp_path):
    def unit_range(model):
        model.mean.zero_()
        model.std.fill_(255.0)

    extract(tiny_config(), video_folder, tmp_path / 'out', unit_range)
    best, changes = explain(tiny_config(), tmp_path / 'out', video_folder)
    assert changes == ['pixels: 0..1 without mean and deviation']
    assert best.cosine == pytest.approx(1.0, abs=1e-4)


def test_other_frames_and_another_crop(tiny_config, video_folder, tmp_path):
    extract(tiny_config(frames='first', crops=10), video_folder, tmp_path / 'out')
    for path in (tmp_path / 'out').rglob('*__[!7].npy'):
        path.unlink()
    best, changes = explain(tiny_config(), tmp_path / 'out', video_folder)
    assert changes == ['frames: first', 'mirrored: True', 'crop: top_right']
    assert best.cosine == pytest.approx(1.0, abs=1e-4)


def test_what_it_cannot_explain(tiny_config, video_folder, tmp_path):
    extract(tiny_config(), video_folder, tmp_path / 'out')
    with pytest.raises(DataError, match='8 channels, the config makes 16'):
        explain(tiny_config(embed_dim=None), tmp_path / 'out', video_folder)
    np.save(tmp_path / 'other__0.npy', np.zeros((2, 8)))
    (tmp_path / 'set').mkdir()
    (tmp_path / 'other__0.npy').rename(tmp_path / 'set/other__0.npy')
    with pytest.raises(DataError, match='None of the 3 videos is in'):
        explain(tiny_config(), tmp_path / 'set', video_folder)
    assert torch.is_inference_mode_enabled() is False


@pytest.mark.parametrize(
    ('cosines', 'changes'),
    [
        # The first change leaves 4e-5, which the second takes away: the whole answer.
        ({'channels: BGR': 0.99996, 'channels: BGR, mirrored: True': 1.0}, ['channels: BGR', 'mirrored: True']),
        # Of what lacks, a part only: no answer.
        ({'channels: BGR': 0.99996, 'channels: BGR, mirrored: True': 0.99997}, ['channels: BGR']),
        # Rounding is not a difference.
        ({'channels: BGR': 1 - 3e-7, 'channels: BGR, mirrored: True': 1.0}, ['channels: BGR']),
    ],
)
def test_small_gains_count_by_what_was_missing(tiny_config, video_folder, tmp_path, monkeypatch, cosines, changes):
    extract(tiny_config(), video_folder, tmp_path / 'out')
    explanation = FeatureExplanation(tiny_config(), FeatureSet.scan(tmp_path / 'out'), find_videos([video_folder]))

    def attempt(changed, settings, tried, tell):
        different = [f'{key}: {settings[key]}' for key in ('channels', 'mirrored') if settings[key] != CHOICES[key][0]]
        others = {k: v for k, v in settings.items() if k not in ('channels', 'mirrored')}
        first.update({} if first else others)
        return Attempt(changed, settings, cosines.get(', '.join(different), 0.9) if others == first else 0.5, 0)

    first = {}
    monkeypatch.setattr(explanation, '_try', attempt)
    assert explanation.changes(explanation.run()) == changes
