from collections import Counter

import av
import numpy as np
import pytest

from vadlab.simulators.wildlife.behaviours import BEHAVIOURS, RATES
from vadlab.simulators.wildlife.calls import series, surroundings
from vadlab.simulators.wildlife.habitat import Habitat
from vadlab.simulators.wildlife.species import SPECIES
from vadlab.simulators.wildlife.wildlife_set import FPS, NEEDS_BOTH, plan_wildlife_set
from vadlab.utils.errors import ConfigError

PLAN = plan_wildlife_set(72, 36, 36, seed=3)


def of_split(split):
    return [clip for clip in PLAN if clip.split == split]


def test_same_seed_same_clips():
    again = plan_wildlife_set(72, 36, 36, seed=3)
    assert again == PLAN
    np.testing.assert_array_equal(PLAN[0].frames(), again[0].frames())
    np.testing.assert_array_equal(PLAN[0].sound()[0], again[0].sound()[0])
    other = plan_wildlife_set(72, 36, 36, seed=4)[0]
    assert other.frames().shape != PLAN[0].frames().shape or (other.frames() != PLAN[0].frames()).any()


def test_every_split_has_every_pair_equally_often():
    for split in ('train', 'val', 'test'):
        pairs = Counter((clip.species, clip.behaviour) for clip in of_split(split))
        assert len(pairs) == len(SPECIES) * len(BEHAVIOURS)
        assert len(set(pairs.values())) == 1


def test_splits_share_no_place():
    seeds = {
        split: {Habitat.of_split(split, place, night=False).seed for place in range(20)} for split in ('train', 'test')
    }
    assert not seeds['train'] & seeds['test']


def test_classes_that_need_both_are_ambiguous_to_either():
    for head, table, seen, heard in (('species', SPECIES, 'look', 'call'), ('behaviour', BEHAVIOURS, 'move', 'rate')):
        names = NEEDS_BOTH[head]
        for attribute in (seen, heard):
            assert set(Counter(getattr(table[name], attribute) for name in names).values()) == {2}
        assert len({(getattr(table[name], seen), getattr(table[name], heard)) for name in names}) == len(names)


@pytest.mark.parametrize(('one', 'other'), [('alarm', 'display'), ('begging', 'foraging')])
def test_behaviours_that_move_alike_call_at_other_rates(one, other):
    moves = [BEHAVIOURS[name].move(np.random.default_rng(5)) for name in (one, other)]
    assert [moves[0](t) for t in (0.0, 0.7)] == [moves[1](t) for t in (0.0, 0.7)]
    assert BEHAVIOURS[one].rate != BEHAVIOURS[other].rate


def poses(name, clips=300):
    """Of many animals, at one moment each."""
    return [BEHAVIOURS[name].move(np.random.default_rng(seed))(0.9) for seed in range(clips)]


@pytest.mark.parametrize(('one', 'other'), [('walking', 'running'), ('foraging', 'display')])
def test_a_single_frame_does_not_tell_behaviours(one, other):
    # How high it leaps is not a cue either: where the ground is, differs between places.
    for field in ('x', 'head', 'reach'):
        values = [np.sort([getattr(pose, field) for pose in poses(name)]) for name in (one, other)]
        assert np.abs(values[0] - values[1]).mean() < 0.05


def test_motion_tells_them():
    def path(name, field):
        pose = BEHAVIOURS[name].move(np.random.default_rng(1))
        return np.array([getattr(pose(t), field) for t in np.arange(0, 2, 1 / FPS)])

    assert np.abs(np.diff(path('running', 'x'))).mean() > 2.5 * np.abs(np.diff(path('walking', 'x'))).mean()
    assert np.ptp(path('foraging', 'head')) > 0.9
    assert np.ptp(path('alarm', 'head')) == 0
    assert np.ptp(path('alarm', 'lift')) > 0.3


@pytest.mark.parametrize('pace', RATES, ids=lambda pace: f'{pace}_calls')
def test_calls_come_at_their_rate(pace):
    rate, seconds = 8000, 6.0
    per_second = np.mean(RATES[pace])
    sound = series('whistle', seconds, rate, per_second, np.random.default_rng(0))
    loud = np.abs(sound).reshape(-1, 80).max(axis=1) > 0.1  # of 10 ms each
    notes = np.count_nonzero(np.diff(loud.astype(int)) == 1)
    assert notes == pytest.approx(per_second * seconds, abs=2)


def test_pitch_of_hoots_is_low_and_whistle_and_trill_share_theirs():
    def centre(call):
        sound = series(call, 2.0, 16000, 1.5, np.random.default_rng(0))
        power = np.abs(np.fft.rfft(sound)) ** 2
        return (np.fft.rfftfreq(len(sound), 1 / 16000) * power).sum() / power.sum()

    assert centre('hoot') < 1000
    assert centre('whistle') == pytest.approx(centre('trill'), rel=0.15)


def test_wind_is_louder_where_it_blows_and_low():
    calm, windy = (surroundings(2.0, 16000, wind, np.random.default_rng(1)) for wind in (0.0, 1.0))
    assert windy.std() > 1.5 * calm.std()
    assert 0.02 < calm.std() < 0.2


def test_night_is_grey_and_every_picture_has_its_size():
    night = next(clip for clip in PLAN if clip.night)
    frames = night.frames()
    assert frames.shape == (night.num_frames, 84, 112, 3)
    assert frames.dtype == np.uint8
    assert (frames[..., 0] == frames[..., 2]).all()
    day = next(clip for clip in PLAN if not clip.night).frames()
    assert (day[..., 0] != day[..., 2]).mean() > 0.5


def test_files_are_real_and_some_lack_a_sound_track(tmp_path):
    with_sound = next(clip for clip in PLAN if clip.has_sound)
    without = next(clip for clip in PLAN if not clip.has_sound)
    assert 0.02 < np.mean([not clip.has_sound for clip in plan_wildlife_set(432, 72, 216)]) < 0.16
    for clip in (with_sound, without):
        assert clip.write(tmp_path) is True
        assert clip.write(tmp_path) is False
        with av.open(str(tmp_path / clip.video)) as file:
            assert sum(1 for _ in file.decode(video=0)) == clip.num_frames
            assert len(file.streams.audio) == clip.has_sound
    samples, rate = with_sound.sound()
    assert np.abs(samples).max() <= 1
    with av.open(str(tmp_path / with_sound.video)) as file:
        (track,) = file.streams.audio
        assert (track.codec_context.name, track.rate, track.channels) == ('aac', rate, len(samples))
        heard = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)
    length = min(heard.shape[1], samples.shape[1])
    # AAC keeps the spectrum, not every sample.
    spectra = [np.abs(np.fft.rfft(x[0, :length])) for x in (heard, samples)]
    assert np.corrcoef(*spectra)[0, 1] > 0.9


def test_sets_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match='at least 36 training clips'):
        plan_wildlife_set(35, 0, 0)
    with pytest.raises(ConfigError, match='no negative numbers'):
        plan_wildlife_set(36, -1, 0)
