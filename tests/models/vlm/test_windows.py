import numpy as np
import pytest

from vadlab.models.vlm.windows import Window, Windows
from vadlab.utils.errors import ConfigError


def test_blocks_and_their_middle_frames_by_hand():
    assert Windows(stride=4)(10) == [Window(0, 4, (2,)), Window(4, 8, (6,)), Window(8, 10, (9,))]


def test_a_span_shows_more_than_its_block_and_ends_with_the_video():
    windows = Windows(stride=4, span=8, num_frames=2)(10)
    assert [window.frame_inds for window in windows] == [(1, 4), (4, 8), (6, 8)]
    assert [(window.start, window.end) for window in windows] == [(0, 4), (4, 8), (8, 10)]


def vera_frames(n, stride=16, half=150, count=8):
    """VERA's steps: equal steps from the start of a span around the first frame of a block (independent)."""
    found = []
    for middle in range(0, n, stride):
        low, high = max(middle - half, 0), min(middle + half, n)
        step = (high - low) / count
        found.append(tuple(dict.fromkeys(int(low + step * k) for k in range(count))))
    return found


def lavad_frames(n, stride=16, half=150, count=10):
    """LAVAD's steps: ten frames from the first to the last of the span, whole numbers by cutting (independent)."""
    found = []
    for middle in range(0, n, stride):
        inside = list(range(max(middle - half, 0), min(middle + half, n)))
        if len(inside) > count:
            inside = [inside[int(k * (len(inside) - 1) / (count - 1) + 1e-9)] for k in range(count)]
        found.append(tuple(inside))
    return found


@pytest.mark.parametrize('n', [1, 5, 16, 149, 150, 301, 1000])
def test_frames_of_vera_and_lavad(n):
    vera = Windows(16, span=300, num_frames=8, choose='starts', centre='start')(n)
    assert [window.frame_inds for window in vera] == vera_frames(n)
    lavad = Windows(16, span=300, num_frames=10, choose='both_ends', centre='start')(n)
    assert [window.frame_inds for window in lavad] == lavad_frames(n)


def test_frames_by_change_are_the_largest_of_equal_parts():
    change = np.array([0, 1, 5, 0, 0, 9, 0, 2.0])
    assert Windows(stride=8, num_frames=2, choose='change')(8, change)[0].frame_inds == (2, 5)


def test_whole_video():
    assert Windows(num_frames=4, choose='starts').whole(8) == Window(0, 8, (0, 2, 4, 6))


@pytest.mark.parametrize(
    ('options', 'message'),
    [(dict(stride=0), '>= 1'), (dict(choose='best'), 'choose one of'), (dict(centre='end'), 'choose one of')],
)
def test_wrong_options(options, message):
    with pytest.raises(ConfigError, match=message):
        Windows(**options)
