import numpy as np
import pytest

from vadlab.visualization.renderers.av_clip_picture import AVClipPicture, HeadDecision, draw_av_clip

FRAMES = np.zeros((16, 8, 10, 3), np.uint8)
TIMES = np.arange(16) / 6
CLASSES = [f'class {k}' for k in range(9)]
SCORES = np.array([0.02, 0.5, 0.2, 0.1, 0.08, 0.04, 0.03, 0.02, 0.01])


def picture(**changes):
    head = HeadDecision('species', CLASSES, SCORES, [8])
    return AVClipPicture(
        **{'clip_id': 'a', 'frames': FRAMES, 'times': TIMES, 'duration': 2.7, 'heads': [head], **changes}
    )


def texts(figure):
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [t.get_text() for t in (*axes.texts, *axes.get_yticklabels(), axes.yaxis.label, axes.xaxis.label)]
    return found


def test_what_is_true_is_shown_though_it_is_not_among_the_likeliest():
    shown = texts(draw_av_clip(picture(), num_classes=4))
    assert [name for name in shown if name in CLASSES] == ['class 1', 'class 2', 'class 3', 'class 8']
    assert 'class 1 0.50' in shown


def test_a_clip_without_sound_says_so_and_has_no_bands():
    shown = texts(draw_av_clip(picture()))
    assert 'no sound' in shown
    assert 'mel band' not in shown


def test_sound_and_frames_lie_along_one_time(tmp_path):
    sound = np.random.default_rng(0).normal(size=(32, 100))
    figure = draw_av_clip(picture(spectrogram=sound, audio_span=(0.5, 1.5)), num_tiles=4)
    (axes,) = [axes for axes in figure.axes if axes.get_ylabel() == 'mel band']
    assert axes.images[0].get_extent() == [0.5, 1.5, 0.0, 32.0]
    assert axes.get_xlim() == (0, 2.7)
    assert sum(text.endswith(' s') for text in texts(figure)) == 4
    figure.savefig(tmp_path / 'clip.png')


def test_attention_is_drawn_as_times_of_an_even_look():
    look, listen = np.array([1.0, 1.0, 6.0, 0.0]), np.zeros((2, 5))
    listen[1, 3] = 1
    clip = picture(spectrogram=np.ones((32, 100)), attention={'video': look, 'audio': listen})
    figure = draw_av_clip(clip)
    (axes,) = [axes for axes in figure.axes if axes.get_ylabel() == 'look']
    values = axes.patches[0].get_data().values
    np.testing.assert_allclose(values, look / 2)
    (axes,) = [axes for axes in figure.axes if axes.get_ylabel() == 'mel band']
    assert axes.images[1].get_clim() == pytest.approx((0.1, 1.0))


@pytest.mark.parametrize(('truth', 'right'), [([1], True), ([2, 1], True), ([0], False), ([], False)])
def test_a_decision_is_right_where_the_likeliest_is_true(truth, right):
    assert HeadDecision('species', CLASSES, SCORES, truth).right is right
