import numpy as np
import pytest
import torch

from vadlab.datasets.transforms.sample_frames import SampleFrames, ensure_region_frames
from vadlab.utils.errors import ConfigError


def span(start, end, caption='r'):
    """A region shown in frames start..end, end included."""
    box = [0.1, 0.1, 0.9, 0.9]
    keyframes = [dict(frame=start, bbox=box, enabled=True), dict(frame=end, bbox=box, enabled=False)]
    return dict(caption=caption, start_frame=start, end_frame=end, keyframes=keyframes)


def sample(total, regions=(), **options):
    return SampleFrames(**options)(dict(total_frames=total, regions=list(regions)))['frame_inds']


def test_uniform_takes_the_middle_of_equal_slots_by_hand():
    assert sample(100, num_frames=5).tolist() == [10, 30, 50, 70, 90]
    assert sample(7, num_frames=7).tolist() == list(range(7))


def test_short_video_repeats_frames():
    assert sample(3, num_frames=6).tolist() == [0, 0, 1, 1, 2, 2]
    assert sample(1, num_frames=4, mode='jitter').tolist() == [0, 0, 0, 0]
    assert sample(3, num_frames=5, mode='dense').tolist() == [0, 1, 2, 2, 2]


def test_jitter_stays_inside_its_slots_and_reaches_all_of_them():
    torch.manual_seed(0)
    drawn = np.array([sample(100, num_frames=5, mode='jitter') for _ in range(400)])
    assert (drawn // 20 == np.arange(5)).all()
    assert all(len(np.unique(column)) == 20 for column in drawn.T)


def test_jitter_repeats_with_torch_seed_and_differs_within_a_run():
    def three(seed):
        torch.manual_seed(seed)
        return [sample(1000, num_frames=8, mode='jitter').tolist() for _ in range(3)]

    assert three(1) == three(1)
    assert three(1) != three(2)
    assert three(1)[0] != three(1)[1]


def test_short_region_gets_its_frames_and_the_number_stays():
    inds = sample(1000, [span(501, 510)], num_frames=10)
    assert len(inds) == 10
    assert (np.diff(inds) > 0).all()
    inside = inds[(inds >= 501) & (inds <= 510)]
    assert inside.tolist() == [502, 504, 507, 509]  # the middles of four equal parts
    assert inds[0] == 50  # what lay far from it stays
    assert inds[-1] == 950


def test_region_with_fewer_frames_than_the_minimum_gets_all():
    inds = sample(1000, [span(333, 334)], num_frames=10)
    assert {333, 334} <= set(inds.tolist())


@pytest.mark.parametrize('mode', ['uniform', 'jitter'])
@pytest.mark.parametrize('candidates', [None, 4])
@pytest.mark.parametrize('seed', range(10))
def test_every_region_has_its_minimum(mode, candidates, seed):
    generator = np.random.default_rng(seed)
    torch.manual_seed(seed)
    total = int(generator.integers(40, 2000))
    starts = generator.integers(0, total, 4)
    regions = [span(int(s), int(min(s + generator.integers(1, 30), total + 5))) for s in starts]
    results = SampleFrames(num_frames=32, mode=mode, candidates=candidates)(dict(total_frames=total, regions=regions))
    inds = results['frame_inds']
    assert len(inds) == 32
    assert (np.diff(inds) >= 0).all()
    assert inds.min() >= 0
    assert inds.max() < total
    for region in regions:
        last = min(region['end_frame'], total - 1)
        n_shown = max(last - region['start_frame'] + 1, 0)
        inside = np.unique(inds[(inds >= region['start_frame']) & (inds <= last)])
        assert len(inside) >= min(4, n_shown)
    if mode == 'uniform' or candidates:
        assert np.isin(inds, results['candidate_inds']).all()
        assert (np.diff(results['candidate_inds']) > 0).all()


def test_regions_share_where_there_are_too_few_frames():
    regions = [span(100 * i, 100 * i + 9) for i in range(4)]
    inds = sample(400, regions, num_frames=6)
    counts = [int(((inds >= 100 * i) & (inds <= 100 * i + 9)).sum()) for i in range(4)]
    assert len(inds) == 6
    assert sorted(counts) == [1, 1, 2, 2]


def test_zero_minimum_ignores_regions():
    assert sample(1000, [span(501, 505)], num_frames=10, min_region_frames=0).tolist() == list(range(50, 1000, 100))


def test_candidates_are_four_a_slot():
    transform = SampleFrames(num_frames=2, mode='jitter', candidates=4)
    found = [transform(dict(total_frames=80, regions=[])) for _ in range(60)]
    assert found[0]['candidate_inds'].tolist() == [5, 15, 25, 35, 45, 55, 65, 75]
    assert {i for f in found for i in f['frame_inds'].tolist()} == set(found[0]['candidate_inds'].tolist())


def test_dense_window():
    assert sample(100, num_frames=4, mode='dense', frame_interval=2, random_start=False).tolist() == [46, 48, 50, 52]
    torch.manual_seed(0)
    for _ in range(50):
        inds = sample(1000, [span(500, 530)], num_frames=16, mode='dense')
        assert (np.diff(inds) == 1).all()
        assert ((inds >= 500) & (inds <= 530)).sum() >= 4
    for _ in range(20):
        inds = sample(1000, num_frames=16, mode='dense', frame_interval=4)
        assert (np.diff(inds) == 4).all()
        assert inds[-1] < 1000


def test_exchange_gives_up_frames_where_they_are_closest():
    base = np.array([0, 10, 12, 30])
    assert ensure_region_frames(base, [np.arange(40, 50)], [np.array([45])]).tolist() == [0, 12, 30, 45]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_frames=0), 'num_frames must be a whole number >= 1'),
        (dict(num_frames=2.5), 'num_frames'),
        (dict(num_frames=4, mode='even'), "no mode 'even'. Known: uniform, jitter, dense"),
        (dict(num_frames=4, min_region_frames=-1), 'min_region_frames'),
        (dict(num_frames=4, candidates=0), 'candidates'),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ConfigError, match=message):
        SampleFrames(**options)
