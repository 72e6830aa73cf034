import numpy as np

from vadlab.visualization.heat_map import draw_heat_map


def test_the_hottest_place_is_red_and_the_coldest_blue():
    frame = np.full((40, 60, 3), 128, np.uint8)
    heat = np.array([[0.0, 0.1, 0.3], [0.1, 0.1, 0.9]])
    picture = draw_heat_map(frame, heat)
    assert picture.shape == frame.shape
    hot, cold = picture[35, 55].astype(int), picture[3, 3].astype(int)
    assert hot[0] > hot[2]
    assert cold[2] > cold[0]


def test_bounds_make_maps_of_several_frames_comparable():
    frame, heat = np.zeros((8, 8, 3), np.uint8), np.full((2, 2), 0.2)
    low = draw_heat_map(frame, heat, 0.2, 0.9)
    assert (draw_heat_map(frame, heat, -0.5, 0.2) != low).any()
    assert (draw_heat_map(frame, heat, 0.2, 0.2) == low).all()  # nothing to distinguish
