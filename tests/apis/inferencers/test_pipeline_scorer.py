"""Methods without a stream of their own are scored through their test pipeline."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.structures import InstanceData

from tests.tools.tiny_ucf import write_video
from vadlab.apis.inferencers.pipeline_scorer import PipelineScorer
from vadlab.apis.inferencers.scored_video import ScoredVideo
from vadlab.apis.inferencers.vad_inferencer import VADInferencer, boxes_in_events
from vadlab.apis.inferencers.video_inputs import VideoSource, find_sources
from vadlab.structures.video_result import Event, Thresholds
from vadlab.utils.config import load_config
from vadlab.utils.errors import ConfigError

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope='module')
def inferencer(tiny):
    return VADInferencer(tiny / 'config.py', tiny / 'weights.pth', sampling='test')


def boxes(frames, scores):
    found = InstanceData()
    found.frame_inds = np.array(frames)
    found.boxes_xyxy = np.zeros((len(frames), 4), np.float32)
    found.scores = np.array(scores, np.float32)
    found.track_ids = np.arange(len(frames))
    found.labels = [f'label {score}' for score in scores]
    found.reasons = [f'reason {score}' for score in scores]
    return found


def test_the_pipeline_gives_the_scores_of_the_stream(inferencer, videos):
    """Two ways to the same frames and the same model."""
    scorer = PipelineScorer(inferencer.model, inferencer.config)
    found = {scored.source.name: scored for scored in scorer(find_sources(videos))}
    for result in inferencer(videos):
        scored = found[result.name]
        np.testing.assert_allclose(scored.scores, result.scores, atol=1e-6)
        assert scored.frame_inds.tolist() == result.frame_inds.tolist()
        assert scored.times.tolist() == result.times.tolist()
        assert (scored.fps, scored.size) == (result.fps, result.size)


def test_a_damaged_video_has_its_reason(inferencer, tmp_path):
    (tmp_path / 'a.mp4').touch()
    (scored,) = PipelineScorer(inferencer.model, inferencer.config)(find_sources(tmp_path))
    assert 'zero bytes' in scored.error
    array = VideoSource('', 'array_0', np.zeros((2, 8, 8, 3), np.uint8))
    (scored,) = PipelineScorer(inferencer.model, inferencer.config)([array])
    assert 'does not take arrays' in scored.error


def test_all_frames_at_once_are_refused_if_they_do_not_fit(tiny, inferencer, videos, monkeypatch):
    steps = [dict(type='ProbeVideo'), dict(type='TakeAllFrames'), dict(type='DecodeFrames', size=32)]
    steps.append(dict(type='PackOneClassInputs'))
    config = load_config(tiny / 'config.py', {'test_dataloader.dataset.pipeline': steps})
    scorer = PipelineScorer(inferencer.model, config)
    assert scorer.frame_bytes == 32 * 32 * 3
    monkeypatch.setattr('vadlab.apis.inferencers.pipeline_scorer._MOST_BYTES', 24 * 32 * 32 * 3 - 1)
    (scored,) = scorer(find_sources(videos[0]))
    assert 'FGCLIP takes all frames at once' in scored.error


@pytest.fixture(scope='module')
def mnad():
    """A small MNAD of random weights, whose windows have 5 frames."""
    import torch

    from vadlab.registry import MODELS

    config = load_config(ROOT / 'configs/mnad_ped2_small.py', {'image_size': 32, 'width': 8})
    torch.manual_seed(0)
    return MODELS.build(config.model).eval(), config


def test_frames_that_come_as_they_are_decoded_give_the_scores_of_all_at_once(mnad, videos, monkeypatch):
    model, config = mnad
    monkeypatch.setattr('vadlab.apis.inferencers.streamed_frames._AT_ONCE', 3)
    scorer = PipelineScorer(model, config, workers=1)
    assert scorer.streamed == ((32, 32), 'bilinear')
    streamed = [scored.scores for scored in scorer(find_sources(videos[:2]))]
    monkeypatch.setattr('vadlab.apis.inferencers.pipeline_scorer._streamed_step', lambda steps: None)
    at_once = PipelineScorer(model, config, workers=1)
    for scored, scores in zip(at_once(find_sources(videos[:2])), streamed, strict=True):
        assert np.array_equal(scored.scores, scores)
        assert len(scores) == 24


def test_frames_are_passed_once_and_in_order(videos):
    from vadlab.apis.inferencers.streamed_frames import StreamedFrames
    from vadlab.datasets.video import index_video, read_frames

    frames = StreamedFrames(index_video(str(videos[0])), (16, 16), 'bilinear')
    wanted = read_frames(str(videos[0]), np.arange(24), (16, 16), interpolation='bilinear').transpose(0, 3, 1, 2)
    assert (len(frames), frames.shape) == (24, (24, 3, 16, 16))
    for part in (slice(0, 5), slice(3, 9), slice(3, 4), slice(18, 24)):
        assert np.array_equal(frames[part], wanted[part])
    with pytest.raises(ValueError, match='were passed already'):
        frames[10:12]
    frames.close()


def test_a_video_that_the_model_refuses_has_its_reason_and_the_rest_is_scored(mnad, videos, tmp_path):
    write_video(tmp_path / 'a.mp4', frames=3)
    found = {s.source.name: s for s in PipelineScorer(*mnad)(find_sources([tmp_path, videos[0]]))}
    assert 'has 3 frames, but a window of the model has 5' in found['a.mp4'].error
    assert found[videos[0].name].error is None


def test_a_folder_with_a_gap_has_its_reason(inferencer, mnad, tmp_path):
    for i in (1, 2, 4, 5):
        (tmp_path / 'frames').mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / 'frames' / f'{i:03d}.png'), np.full((32, 32, 3), i, np.uint8))
    (scored,) = PipelineScorer(*mnad)(find_sources(tmp_path / 'frames'))
    (result,) = inferencer(tmp_path / 'frames')
    assert 'after frame 2 comes frame 4' in scored.error
    assert result.error == scored.error


def test_a_pipeline_that_needs_an_annotation_says_which(tiny, inferencer, videos):
    steps = [dict(type='LoadFeatures')]
    config = load_config(tiny / 'config.py', {'test_dataloader.dataset.pipeline': steps})
    with pytest.raises(ConfigError, match="needs 'feature_paths'"):
        list(PipelineScorer(inferencer.model, config)(find_sources(videos[0])))


def test_the_highest_box_of_an_event_is_its_reason(inferencer):
    source = VideoSource('a.mp4', 'a.mp4')
    scores = np.array([0.1, 0.9, 0.9, 0.1, 0.1], np.float32)
    found = boxes([0, 1, 2, 2, 4], [9.0, 1.0, 3.0, 2.0, 8.0])
    scored = ScoredVideo(source, 25.0, (8, 8), scores, np.arange(5) / 25, np.arange(5), boxes=found)
    result = inferencer.with_events(scored, Thresholds(0.5, 0.5))
    (event,) = result.events
    assert (event.start, event.end, event.label, event.reason) == (1, 3, 'label 3.0', 'reason 3.0')


def test_only_the_highest_boxes_of_event_frames_are_kept():
    found = boxes([0, 1, 1, 1, 2, 5], [9.0, 1.0, 3.0, 2.0, 4.0, 7.0])
    kept = boxes_in_events(found, [Event(1, 3, 2, 0, 0, 0, 0.9)], most=2)
    assert kept.frame_inds.tolist() == [1, 1, 2]
    assert kept.scores.tolist() == [3.0, 2.0, 4.0]
    assert kept.labels == ['label 3.0', 'label 2.0', 'label 4.0']
    assert len(boxes_in_events(found, [])) == 0


def test_videos_of_several_sizes_are_streamed_at_their_own_aspect_ratio(tiny, tmp_path):
    """FG-CLIP 2, whose frames have whole patches: the stream gives the scores of the test pipeline."""
    import torch

    from vadlab.apis.inferencers.frame_scorer import FrameScorer
    from vadlab.registry import MODELS

    options = dict(cache_dir=None, num_frames=4, data_root=str(tiny / 'data'))
    config = load_config(ROOT / 'configs/fgclip2_demo.py', options)
    torch.manual_seed(0)
    torch.save({'state_dict': MODELS.build(config.model).state_dict()}, tmp_path / 'weights.pth')
    own = VADInferencer(config, tmp_path / 'weights.pth', sampling='test', thresholds=Thresholds(0.0, 0.0))
    assert isinstance(own.scorer, FrameScorer)
    write_video(tmp_path / 'videos' / 'wide.mp4')
    tall = np.random.default_rng(0).integers(0, 255, (7, 90, 40, 3), np.uint8)
    for i, frame in enumerate(tall):
        (tmp_path / 'tall').mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / 'tall' / f'{i}.png'), frame)
    inputs = [tmp_path / 'videos', tmp_path / 'tall', tall[..., ::-1]]
    found = {result.name: result for result in own(inputs, boxes=True)}
    scored = {s.source.name: s for s in PipelineScorer(own.model, config)(find_sources(inputs[:2]))}
    for name in ('wide.mp4', 'tall'):
        np.testing.assert_allclose(found[name].scores, scored[name].scores, atol=1e-6)
        assert found[name].boxes is not None
    assert found['array_2'].size == found['tall'].size == (90, 40)
    assert np.abs(found['array_2'].scores - found['tall'].scores).max() < 0.05  # another resizer
