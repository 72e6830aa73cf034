"""Live scores against those of the inferencer on the same file, and what each method needs of later frames."""

import time

import av
import numpy as np
import pytest
import torch

from tests.apis.inferencers.conftest import tiny, videos  # noqa: F401 - fixtures
from tests.datasets.turned_videos import TURNS, write_lopsided
from vadlab.apis.inferencers.vad_inferencer import VADInferencer
from vadlab.apis.live.camera_reader import LiveFrame
from vadlab.apis.live.stream_scorer import FrameStream, WindowStream, ZoneCheck, live_scorer, look_ahead, warm_up
from vadlab.apis.live.zones import Zone
from vadlab.datasets.video.orientation import orientation_of
from vadlab.models.detectors.bnwvad import BNWVAD
from vadlab.utils.errors import ConfigError


def live_frames(path, context=1):
    """Frames of a file, as a reader delivers them."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    orientation = orientation_of(frames[0])
    size = orientation.size(frames[0].height, frames[0].width)
    return [
        LiveFrame(tuple(frames[i + 1 - context : i + 1]), i, float(i), float(i), 0.0, size, orientation, 1)
        for i in range(context - 1, len(frames))
    ]


def scores_of(scorer, frames, name='cam'):
    with torch.inference_mode():
        return [score for frame in frames for _, score in scorer([(name, frame)], time.monotonic)]


def test_live_scores_are_those_of_the_file(tiny, videos):  # noqa: F811
    inferencer = VADInferencer(tiny / 'config.py', tiny / 'weights.pth', sampling=1)
    scorer = live_scorer(inferencer)
    assert isinstance(scorer, FrameStream)
    with torch.inference_mode():
        warm_up(scorer)
    for path in videos[:2]:
        (wanted,) = inferencer([path])
        found = scores_of(scorer, live_frames(path))
        np.testing.assert_allclose([one.score for one in found], wanted.scores, rtol=0, atol=1e-5)
        top = [wanted.classes[1 + i] for i in wanted.class_scores[:, 1:].argmax(1)]
        assert [one.label for one in found] == top
        assert found[0].reason.startswith(f'{top[0]} {wanted.class_scores[0, 1:].max():.2f}')


@pytest.mark.parametrize('turn', ['rot90', 'mirror_rot270'])
def test_a_turned_file_is_scored_upright(tiny, tmp_path, turn):  # noqa: F811
    path = write_lopsided(tmp_path / 'turned.mp4', matrix=TURNS[turn][0])
    inferencer = VADInferencer(tiny / 'config.py', tiny / 'weights.pth', sampling=1)
    (wanted,) = inferencer([path])
    found = scores_of(live_scorer(inferencer), live_frames(path))
    np.testing.assert_allclose([one.score for one in found], wanted.scores[: len(found)], rtol=0, atol=1e-5)


def test_cameras_of_a_batch_do_not_change_each_other(tiny, videos):  # noqa: F811
    inferencer = VADInferencer(tiny / 'config.py', tiny / 'weights.pth')
    scorer = FrameStream(inferencer)
    frames = [live_frames(path)[5] for path in videos[:3]]
    with torch.inference_mode():
        together = dict(scorer([(str(i), frame) for i, frame in enumerate(frames)], time.monotonic))
        alone = [scorer([('x', frame)], time.monotonic)[0][1].score for frame in frames]
    np.testing.assert_allclose([together[str(i)].score for i in range(3)], alone, rtol=0, atol=1e-6)


def test_a_window_of_frames_makes_scores_late(tiny, videos):  # noqa: F811
    config = (tiny / 'config.py').read_text() + '\nmodel.update(score_head=dict(score_window=5))\n'
    path = tiny / 'window.py'
    path.write_text(config)
    inferencer = VADInferencer(path, tiny / 'weights.pth', sampling=1)
    scorer = FrameStream(inferencer)
    assert scorer.late == 2
    (wanted,) = inferencer([videos[0]])
    found = scores_of(scorer, live_frames(videos[0]))
    assert [one.frame.number for one in found] == list(range(2, 22))
    np.testing.assert_allclose([one.score for one in found], wanted.scores[2:22], rtol=0, atol=1e-5)


def test_what_is_usual_is_taken_from_the_past_of_the_camera(tiny, videos):  # noqa: F811
    """The last frame has the score of the whole file: then all frames are its past."""
    path = tiny / 'reference.py'
    path.write_text(
        (tiny / 'config.py').read_text()
        + "\nmodel.update(score_head=dict(cells=2, cell_level=0.1, video_reference=0.8, templates=('{}',)))\n"
    )
    inferencer = VADInferencer(path, tiny / 'weights.pth', sampling=1)
    scorer = FrameStream(inferencer)
    (wanted,) = inferencer([videos[0]])
    frames = live_frames(videos[0])  # one second apart
    found = scores_of(scorer, frames)
    assert len(found) == len(frames)
    assert found[-1].score == pytest.approx(wanted.scores[-1], abs=1e-5)
    fresh = scores_of(FrameStream(inferencer), frames[-1:])[0]
    assert fresh.score == pytest.approx(scores_of(scorer, frames[-1:], name='other')[0].score, abs=1e-6)


def test_zones_need_boxes_of_the_frame(tiny, videos, monkeypatch):  # noqa: F811
    inferencer = VADInferencer(tiny / 'config.py', tiny / 'weights.pth')
    check = ZoneCheck(inferencer)
    score = scores_of(FrameStream(inferencer), live_frames(videos[0])[:1])[0]
    boxes = np.array([[0.0, 0.0, 0.2, 0.2], [0.8, 0.8, 1.0, 1.0]], np.float32)
    asked = []

    def find(frames, label):
        asked.append((frames.shape, label))
        return [(boxes, np.array([0.3, 0.1], np.float32), ['first', 'second'])]

    monkeypatch.setattr(check.localizer, 'find', find)
    zone = Zone('corner', ((0.7, 0.7), (1, 0.7), (1, 1), (0.7, 1)))
    assert check(score, [zone]) == ('corner', 'first')
    assert check(score, [Zone('middle', ((0.4, 0.4), (0.6, 0.4), (0.6, 0.6)))]) == (None, 'first')
    assert asked[0] == ((1, 32, 32, 3), score.label)


# Snippets that a score needs after its own, of 64; all methods in their smallest form.
NEEDS = [
    (dict(type='MILRanking', feature_dim=8, hidden_dims=(32, 16), num_segments=None), 0),
    (dict(type='MILRanking', feature_dim=8, hidden_dims=(32, 16), num_segments=32), 1),
    (dict(type='HLNet', feature_dim=8, hidden_dims=(8, 4), graph_dim=4, online=True), 0),
    (dict(type='HLNet', feature_dim=8, hidden_dims=(8, 4), graph_dim=4, online=False), 63),
    (dict(type='RTFM', feature_dim=8), 63),
]


@pytest.mark.parametrize(('config', 'expected'), NEEDS, ids=lambda value: str(value)[:60])
def test_look_ahead_of_snippet_methods(config, expected):
    """By the definition of each method: its own snippet; segments of two; graphs over all snippets."""
    from vadlab.registry import MODELS
    from vadlab.utils.setup_env import register_all_modules

    register_all_modules()
    torch.manual_seed(0)
    model = MODELS.build(config).eval()
    for weights in model.parameters():  # some layers start as zeros
        torch.nn.init.normal_(weights)
    assert look_ahead(model, 8) == expected


def test_methods_that_need_the_future_say_how_much():
    class Extraction:
        model = type('Tower', (), {'feature_dim': 8})

    from vadlab.apis.inferencers.snippet_scorer import SnippetScorer
    from vadlab.apis.live.stream_scorer import why_not_live
    from vadlab.registry import MODELS
    from vadlab.utils.setup_env import register_all_modules

    register_all_modules()
    scorer = SnippetScorer.__new__(SnippetScorer)
    scorer.extraction = Extraction()
    rtfm = MODELS.build(dict(type='RTFM', feature_dim=8)).eval()
    assert 'RTFM compares each snippet with later ones up to the end of the video' in why_not_live(rtfm, scorer)
    mil = MODELS.build(dict(type='MILRanking', feature_dim=8, num_segments=None)).eval()
    assert 'MILRanking scores snippets of 16 frames, 0.64 s late at 25 frames per second' in why_not_live(mil, scorer)
    assert BNWVAD.attends_to_all


class Window:
    """Stands for an inferencer of a method on windows: its score is three times the mean of the last frame."""


def test_methods_on_windows_score_the_newest_window(tmp_path):
    from tests.apis.live.camera_server import write_file
    from vadlab.apis.inferencers.pipeline_scorer import PipelineScorer
    from vadlab.models.detectors.frame_window_detector import FrameWindowDetector

    class Last(FrameWindowDetector):
        def components(self, video):
            return {'last': video[-1:].float().mean((1, 2, 3)) / 255 * 6}

    model = Last(4, 2, {'last': 1.0})
    inferencer = Window()
    inferencer.model = model
    inferencer.scorer = PipelineScorer.__new__(PipelineScorer)
    inferencer.scorer.streamed = ((16, 16), 'bilinear')
    scorer = live_scorer(inferencer)
    assert isinstance(scorer, WindowStream)
    assert (scorer.context, scorer.late_frames) == (4, 1)
    path = write_file(tmp_path / 'a.mp4', 0.5, grey=lambda s: 100 + round(s * 30))
    found = scores_of(scorer, live_frames(path, context=4))
    assert len(found) == 12
    wanted = 1 / (1 + np.exp(-((103 + np.arange(12)) / 255 * 6 - 3)))
    np.testing.assert_allclose([one.score for one in found], wanted, atol=0.02)
    model.normalisation = 'per_clip'
    with pytest.raises(ConfigError, match='per_clip" scales scores by the whole video'):
        live_scorer(inferencer)
