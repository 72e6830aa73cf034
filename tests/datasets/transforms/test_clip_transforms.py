import numpy as np
import pytest
import torch

from vadlab.datasets.transforms.pack_audio_visual_inputs import PackAudioVisualInputs
from vadlab.datasets.transforms.sample_clip import SampleClip
from vadlab.datasets.transforms.spec_augment import SpecAugment
from vadlab.datasets.transforms.time_frequency_crop import TimeFrequencyCrop
from vadlab.utils.errors import ConfigError, DataError


def clip(total=12, columns=300, bands=8):
    """A clip of three seconds whose frames and columns carry their number."""
    frames = np.zeros((total, 4, 6, 3), np.uint8) + np.arange(total, dtype=np.uint8)[:, None, None, None]
    mel = None if columns is None else np.tile(np.arange(columns, dtype=np.float32), (bands, 1))
    return dict(
        clip_id='a',
        video_path='a.mp4',
        frames=frames,
        mel=mel,
        frame_inds=np.arange(total) * 2,
        times=(np.arange(total) + 0.5) * 3.0 / total,
        fps=8.0,
        num_frames=24,
        duration=3.0,
        start=None,
        audio_start=0.0,
        audio_hop=0.01,
        band_start=0,
        labels=dict(species=[1], behaviour=[0, 2]),
        num_classes=dict(species=2, behaviour=3),
        multi_label=['behaviour'],
    )


def taken(results):
    return results['frames'][:, 0, 0, 0].tolist()


def test_uniform_sampling_takes_the_middle_of_equal_slots():
    results = SampleClip(4)(clip())
    assert taken(results) == [1, 4, 7, 10]
    assert results['frame_inds'].tolist() == [2, 8, 14, 20]
    np.testing.assert_allclose(results['times'], [0.375, 1.125, 1.875, 2.625])
    assert results['clip_window'] == (0.0, 3.0)
    assert taken(SampleClip(4)(clip(2))) == [0, 0, 1, 1]


def test_jitter_stays_in_its_slot_and_differs():
    torch.manual_seed(0)
    found = np.array([taken(SampleClip(4, 'jitter')(clip())) for _ in range(40)])
    assert (found // 3 == np.arange(4)).all()
    assert all(len(set(column)) == 3 for column in found.T)


def test_a_dense_window_is_of_neighbours_and_says_where_it_is():
    results = SampleClip(4, 'dense', frame_interval=2, random_start=False)(clip())
    assert taken(results) == [2, 4, 6, 8]
    np.testing.assert_allclose(results['clip_window'], (0.5, 2.25))
    torch.manual_seed(0)
    starts = {taken(SampleClip(4, 'dense', 2)(clip()))[0] for _ in range(40)}
    assert starts == set(range(6))
    assert taken(SampleClip(4, 'dense')(clip(2))) == [0, 1, 1, 1]


def test_time_is_cut_in_the_middle_or_at_random():
    results = TimeFrequencyCrop(columns=100, random=False)(clip())
    assert results['mel'][0].tolist() == list(range(100, 200))
    assert results['audio_start'] == pytest.approx(1.0)
    torch.manual_seed(0)
    starts = [TimeFrequencyCrop(columns=100)(clip())['mel'][0, 0] for _ in range(200)]
    assert min(starts) < 10
    assert max(starts) > 190
    assert TimeFrequencyCrop(columns=400)(clip())['mel'].shape == (8, 300)


def test_sound_is_cut_where_the_frames_are():
    torch.manual_seed(0)
    for _ in range(20):
        results = TimeFrequencyCrop(columns=80)(SampleClip(4, 'dense')(clip()))
        begin, end = results['clip_window']
        assert results['audio_start'] >= begin - 0.011
        assert results['audio_start'] + 0.8 <= end + 0.011
        around = TimeFrequencyCrop(columns=150)(SampleClip(4, 'dense')(clip()))
        begin, end = around['clip_window']
        assert around['audio_start'] <= begin + 0.011
        assert around['audio_start'] + 1.5 >= end - 0.011


def test_bands_are_cut_to_a_fixed_number():
    results = clip()
    results['mel'] = np.tile(np.arange(8, dtype=np.float32)[:, None], (1, 5))
    middle = TimeFrequencyCrop(bands=4, random=False)(dict(results))
    assert middle['mel'][:, 0].tolist() == [2, 3, 4, 5]
    assert middle['band_start'] == 2
    torch.manual_seed(0)
    assert {TimeFrequencyCrop(bands=4)(dict(results))['band_start'] for _ in range(60)} == set(range(5))
    with pytest.raises(ConfigError, match='bands=9, but a has 8'):
        TimeFrequencyCrop(bands=9)(results)


def test_spec_augment_blanks_bands_and_moments_with_the_mean():
    torch.manual_seed(0)
    mel = np.random.default_rng(0).normal(-30, 5, (40, 200)).astype(np.float32)
    mel.setflags(write=False)
    found = SpecAugment(num_bands=1, band_width=10, num_times=1, time_width=50, time_share=0.2)(dict(mel=mel))['mel']
    blank = found == mel.mean()
    bands, times = blank.all(axis=1), blank.all(axis=0)
    assert 0 < bands.sum() <= 10
    assert 0 < times.sum() <= 40
    assert (blank == (bands[:, None] | times)).all()
    np.testing.assert_array_equal(found[~blank], mel[~blank])


def test_spec_augment_draws_widths_and_places_as_in_the_paper():
    torch.manual_seed(0)
    augment = SpecAugment(num_bands=1, band_width=3, num_times=0)
    mel = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    found = [tuple(np.flatnonzero((augment(dict(mel=mel))['mel'] == mel.mean()).all(axis=1))) for _ in range(600)]
    widths = np.bincount([len(rows) for rows in found], minlength=4)
    assert (abs(widths - 150) < 45).all()
    assert {rows[0] for rows in found if len(rows) == 3} == {0, 1, 2, 3}


def test_spec_augment_may_leave_clips_alone():
    mel = np.zeros((6, 4), np.float32)
    assert SpecAugment(prob=0.0)(dict(mel=mel))['mel'] is mel
    assert SpecAugment()(dict(mel=None))['mel'] is None
    assert TimeFrequencyCrop(columns=5)(clip(columns=None))['mel'] is None


def test_packed_clip():
    packed = PackAudioVisualInputs()(clip())
    assert packed['inputs']['video'].shape == (12, 3, 4, 6)
    assert packed['inputs']['audio'].shape == (1, 8, 300)
    sample = packed['data_samples']
    assert sample.gt_labels['species'].item() == 1
    assert sample.gt_labels['behaviour'].tolist() == [1.0, 0.0, 1.0]
    assert (sample.start, sample.has_audio, sample.audio_hop) == (0.0, True, 0.01)
    silent = PackAudioVisualInputs()(clip(columns=None))
    assert silent['inputs']['audio'] is None
    assert not silent['data_samples'].has_audio


def test_numbers_that_are_none_are_refused():
    results = clip()
    results['mel'][3, 3] = np.nan
    with pytest.raises(DataError, match='a: the spectrogram has NaN'):
        PackAudioVisualInputs()(results)


@pytest.mark.parametrize(
    ('make', 'match'),
    [
        (lambda: SampleClip(0), 'num_frames must be a whole number >= 1'),
        (lambda: SampleClip(4, 'first'), "no mode 'first'. Known: uniform, jitter, dense"),
        (lambda: TimeFrequencyCrop(columns=0), 'columns must be a whole number >= 1 or None'),
        (lambda: SpecAugment(band_width=-1), 'band_width must be a whole number >= 0'),
        (lambda: SpecAugment(time_share=2), 'time_share must be in 0..1'),
    ],
)
def test_options_that_cannot_be(make, match):
    with pytest.raises(ConfigError, match=match):
        make()
