"""LAVAD on a short video, against two servers: one captions frames by grey, one summarises and scores texts."""

import re

import cv2
import numpy as np
import pytest
import torch

from tests.models.vlm.vlm_server import MODEL, VLMServer
from vadlab.models.detectors.lavad import LAVAD
from vadlab.registry import MODELS
from vadlab.structures import VADDataSample
from vadlab.utils.config import load_config
from vadlab.utils.errors import ConfigError, DataError

GREYS = (20, 20, 120, 230)  # of four blocks of four frames
WORDS = {20: 'a quiet street', 120: 'a crowd', 230: 'a fire'}


def captioner(text, images):
    """One caption per grey; the second frame of the video is captioned wrongly, as captioners do."""
    return WORDS[min(WORDS, key=lambda grey: abs(grey - images[0].mean()))]


def language_model(text, images):
    """Summaries repeat the captions; scores follow the worst word of a summary."""
    assert not images
    if text.startswith('The lines'):
        lines = text.strip().split('\n\n')[-1].split('\n')
        return 'There is ' + ' and '.join(dict.fromkeys(lines))
    scene = text.split('The scene: ')[1]
    score = 0.9 if 'a fire' in scene else 0.4 if 'a crowd' in scene else 0.0
    return f'[{score}]'


class Tower:
    """Frames and texts in a space with one axis per grey."""

    def frames(self, index, inds, device):
        return torch.nn.functional.one_hot(
            torch.tensor([{20: 0, 120: 1, 230: 2}[GREYS[i // 4]] for i in inds]), 3
        ).float()

    def texts(self, texts, device):
        rows = [[float(word in text) for word in WORDS.values()] for text in texts]
        return torch.nn.functional.normalize(torch.tensor(rows), dim=-1)


@pytest.fixture
def video(tmp_path):
    folder = tmp_path / 'clip'
    folder.mkdir()
    for i in range(16):
        cv2.imwrite(str(folder / f'{i:03d}.png'), np.full((32, 48, 3), GREYS[i // 4], np.uint8))
    return folder


@pytest.fixture
def build(tmp_path):
    def build(captions, texts, **options):
        def client(server):
            return dict(type='OpenAIClient', model_name=MODEL, base_url=server.url, first_delay_s=0.01, patience_s=1.0)

        settings = dict(
            classes=('Normal', 'Arson'),
            captioners=[client(captions)],
            client=client(texts),
            windows=dict(stride=4, span=4, num_frames=2, choose='both_ends'),
            caption_question='vadlab::questions/lavad_caption.txt',
            summary_question='vadlab::questions/lavad_summary.txt',
            question='vadlab::questions/lavad_score.txt',
            parser=dict(type='BracketParser'),
            tower=dict(type='ImageTextTower', model=dict(type='CLIP')),
            answer_cache=str(tmp_path / 'answers.sqlite'),
        )
        model = LAVAD(**{**settings, **options})
        model.tower = Tower()
        return model

    return build


def predict(model, video):
    sample = VADDataSample(metainfo={'video_id': 'clip', 'video_path': str(video)})
    return model([], [sample], mode='predict')[0]


def test_captions_are_summarised_and_scored(build, video):
    with VLMServer(captioner) as captions, VLMServer(language_model) as texts:
        found = predict(build(captions, texts), video)
    assert found.pred_scores.numpy() == pytest.approx(np.repeat([0, 0, 0.4, 0.9], 4))
    assert list(found.pred_answers.reasons) == [f'There is {WORDS[grey]}' for grey in GREYS]
    assert len(captions.bodies) == 4
    assert len(texts.bodies) == 6  # two blocks have equal captions, so their questions are sent once
    assert all('image_url' not in str(body) for body in texts.bodies)
    counts = found.answer_counts
    assert (counts['questions'], counts['calls'], counts['images']) == (12, 10, 4)


def test_reasons_are_short_lines_of_text(build, video):
    def long_summaries(text, images):
        summary = language_model(text, images)
        return summary if summary.startswith('[') else f'{summary}\x1b[31m {"a" * 10_000}'

    with VLMServer(captioner) as captions, VLMServer(long_summaries) as texts:
        found = predict(build(captions, texts), video)
    for reason, grey in zip(found.pred_answers.reasons, GREYS, strict=True):
        assert reason.startswith(f'There is {WORDS[grey]} [31m aaa')
        assert len(reason) == 300


def test_captions_that_fit_no_frame_are_replaced_by_those_that_fit(build, video):
    """The captioner calls the second block a fire; its frames are nearest to the caption of the first block."""
    seen = []

    def wrong(text, images):
        seen.append(1)
        return 'a fire' if len(seen) == 2 else captioner(text, images)

    with VLMServer(wrong) as captions, VLMServer(language_model) as texts:
        model = build(captions, texts)
        model.captioners[0].client.requests_at_once = 1
        found = predict(model, video)
    assert found.pred_scores.numpy() == pytest.approx(np.repeat([0, 0, 0.4, 0.9], 4))


def test_similar_summaries_share_scores(build, video):
    """With all windows as neighbours, each score is a softmax-weighted mean (by hand for the last window)."""
    steps = [dict(type='NeighbourScores', count=10, features='texts')]
    with VLMServer(captioner) as captions, VLMServer(language_model) as texts:
        found = predict(build(captions, texts, refinement=steps), video)
    weight = np.exp(1.0)  # similarity 1 to its own summary, 0 to the two others
    assert found.pred_scores[-1].item() == pytest.approx((0.9 * weight + 0.4 + 0.0) / (weight + 2))


def test_prompts_reach_the_scoring_question(build, video):
    with VLMServer(captioner) as captions, VLMServer(language_model) as texts:
        model = build(captions, texts)
        model.use_prompts(['a dog on the road'])
        predict(model, video)
    assert sum('a dog on the road' in body['messages'][0]['content'] for body in texts.bodies) == 3


def test_expected_costs(build, video):
    with VLMServer(captioner) as captions, VLMServer(language_model) as texts:
        found = build(captions, texts).expected(str(video))
    assert (found.questions, found.calls, found.images) == (12, 12, 4)


def test_captioner_without_any_answer_is_counted(build, video):
    with VLMServer(lambda text, images: ' ') as captions, VLMServer(language_model) as texts:
        found = predict(build(captions, texts), video)
    assert found.pred_scores.tolist() == [0.5] * 16
    assert (found.answer_counts['videos_without_answer'], found.answer_counts['unread']) == (1, 4)
    assert not texts.bodies


def test_refused_captions_and_summaries_describe_nothing(build, video, tmp_path, log):
    def refuses(text, images):
        return "I'm sorry, but I can't help with that."

    with VLMServer(refuses) as captions, VLMServer(language_model) as texts:
        found = predict(build(captions, texts), video)
    assert (found.answer_counts['videos_without_answer'], found.answer_counts['refused']) == (1, 4)
    assert 'interpolated' not in log.text

    def no_summaries(text, images):
        return refuses(text, images) if text.startswith('The lines') else language_model(text, images)

    with VLMServer(captioner) as captions, VLMServer(no_summaries) as texts:
        found = predict(build(captions, texts, answer_cache=str(tmp_path / 'other.sqlite')), video)
    assert found.pred_scores.numpy() == pytest.approx(np.repeat([0, 0, 0.4, 0.9], 4))  # from the captions themselves
    assert 'clip: 4 of 12 answers cannot be read, asked twice (refused: 4, cut: 0)' in log.text
    assert 'interpolated' not in log.text


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(captioners=[]), ConfigError, 'captioners is empty'),
        (dict(question='vadlab::questions/plain.txt'), DataError, 'no placeholder {summary}'),
        (dict(summary_question='vadlab::questions/lavad_caption.txt'), DataError, 'no placeholder {captions}'),
    ],
)
def test_wrong_options(build, options, error, message):
    with VLMServer(captioner) as server, pytest.raises(error, match=re.escape(message)):
        build(server, server, **options)


def test_demo_runs_with_the_small_clip(video, tmp_path):
    """The whole method with the demo's own tower: real features of frames and captions."""
    with VLMServer(captioner) as captions, VLMServer(language_model) as texts:
        options = dict(base_url=captions.url, model_name=MODEL, text_base_url=texts.url, text_model_name=MODEL)
        options |= dict(answer_cache=str(tmp_path / 'a.sqlite'), stride=4, span=8)
        found = predict(MODELS.build(load_config('configs/lavad_demo.py', options).model), video)
    assert found.pred_scores.shape == (16,)
    assert found.answer_counts['unread'] == 0
    assert 0 <= found.pred_scores.min() <= found.pred_scores.max() <= 0.9
