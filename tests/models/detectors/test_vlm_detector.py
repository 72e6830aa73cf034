"""The detector on short videos, against a server that answers by brightness."""

import json

import cv2
import numpy as np
import pytest
import torch

from tests.models.vlm.vlm_server import MODEL, VLMServer, brightness
from vadlab.models.detectors.vlm_detector import VLMDetector
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError, DataError, MissingFileError, ServiceError

GREYS = (0, 51, 102, 204)  # of four blocks of four frames: scores 0, 0.2, 0.4, 0.8


@pytest.fixture
def video(tmp_path):
    """A folder of 16 grey frames."""
    folder = tmp_path / 'clip'
    folder.mkdir()
    for i in range(16):
        cv2.imwrite(str(folder / f'{i:03d}.png'), np.full((32, 48, 3), GREYS[i // 4], np.uint8))
    return folder


@pytest.fixture
def build(tmp_path):
    def build(server, **options):
        settings = dict(
            classes=('Normal', 'Fighting'),
            client=dict(type='OpenAIClient', model_name=MODEL, base_url=server.url, first_delay_s=0.01, patience_s=1.0),
            windows=dict(stride=4),
            question='vadlab::questions/plain.txt',
            parser=dict(type='ScoreParser'),
            answer_cache=str(tmp_path / 'answers.sqlite'),
        )
        return VLMDetector(**{**settings, **options})

    return build


def predict(model, video):
    sample = VADDataSample(metainfo={'video_id': 'clip', 'video_path': str(video)})
    return model([], [sample], mode='predict')[0]


def test_blocks_get_the_scores_of_their_answers(build, video):
    with VLMServer(brightness) as server:
        found = predict(build(server), video)
    assert found.pred_scores.numpy() == pytest.approx(np.repeat([0, 0.2, 0.4, 0.8], 4), abs=0.01)
    assert found.pred_logits[-1] == pytest.approx(torch.logit(found.pred_scores[-1]).item())
    assert list(found.pred_answers.reasons) == ['it is bright'] * 4
    assert list(found.pred_answers.labels) == ['Other'] * 4
    counts = found.answer_counts
    assert (counts['questions'], counts['calls'], counts['cached'], counts['images']) == (4, 4, 0, 4)
    assert (counts['tokens_in'], counts['tokens_out'], counts['unread']) == (400, 40, 0)


def test_interpolation_between_the_middles_of_blocks(build, video):
    with VLMServer(brightness) as server:
        found = predict(build(server, interpolate=True), video)
    assert found.pred_scores[[0, 2, 4, 6, 14, 15]].tolist() == pytest.approx([0, 0, 0.1, 0.2, 0.8, 0.8], abs=0.01)


def test_question_has_definition_and_classes(build, video):
    with VLMServer(brightness) as server:
        model = build(server)
        predict(model, video)
        model.use_prompts(['a person climbing a fence'], ['a cat'])
        predict(model, video)
        model.use_prompts(None)
        predict(model, video)
    texts = list(dict.fromkeys(body['messages'][0]['content'][-1]['text'] for body in server.bodies))
    assert len(server.bodies) == 8
    assert len(texts) == 2
    assert 'counts as abnormal here' not in texts[0]
    assert 'fighting, or something as dangerous' in texts[0]
    assert 'Normal, Fighting, Other' in texts[0]
    assert 'a person climbing a fence. Not abnormal: a cat' in texts[1]
    schema = server.bodies[-1]['response_format']['json_schema']['schema']
    assert schema['properties']['class']['enum'] == ['Normal', 'a person climbing a fence', 'Other']


def test_nothing_is_asked_twice_and_other_refinement_asks_nothing(build, video):
    with VLMServer(brightness) as server:
        first = predict(build(server), video)
    again = predict(build(server), video)  # the server is gone
    assert again.pred_scores.tolist() == first.pred_scores.tolist()
    assert (again.answer_counts['cached'], again.answer_counts['calls']) == (4, 0)
    smooth = predict(build(server, refinement=[dict(type='SmoothWindows', size=3, sigma=1.0)]), video)
    assert smooth.pred_scores.tolist() != first.pred_scores.tolist()
    with pytest.raises(ServiceError, match='No server answers'):
        predict(build(server, windows=dict(stride=2)), video)


def test_equal_questions_are_sent_once(build, tmp_path):
    """Windows with the same single frame: a video that is shorter than the span of its windows."""
    folder = tmp_path / 'one'
    folder.mkdir()
    cv2.imwrite(str(folder / '0.png'), np.zeros((32, 48, 3), np.uint8))
    with VLMServer(brightness) as server:
        found = predict(build(server, windows=dict(stride=1, span=9, num_frames=3)), folder)
    assert len(server.bodies) == 1
    assert found.pred_scores.shape == (1,)


def unreadable(grey, text='I see a street.', times=10**6):
    """Answers that cannot be read, for frames of one grey, at most ``times`` times."""
    left = [times]

    def answer(question, images):
        if abs(float(images[0].mean()) - grey) < 3 and left[0]:
            left[0] -= 1
            return text
        return brightness(question, images)

    return answer


def test_unreadable_answer_is_asked_for_once_more(build, video):
    with VLMServer(unreadable(204, times=1)) as server:
        found = predict(build(server), video)
    assert found.pred_scores[-1] == pytest.approx(0.8, abs=0.01)
    assert (found.answer_counts['repeated'], found.answer_counts['unread'], len(server.bodies)) == (1, 0, 5)
    assert (
        'Answer with one JSON object and nothing else: {"score"'
        in server.bodies[-1]['messages'][0]['content'][-1]['text']
    )


def test_unreadable_window_is_interpolated_and_counted(build, video, log):
    with VLMServer(unreadable(102, "I'm sorry, I can't help with that.")) as server:
        found = predict(build(server), video)
    assert found.pred_scores[8:12].numpy() == pytest.approx(0.5, abs=0.01)  # between 0.2 and 0.8
    counts = found.answer_counts
    assert (counts['repeated'], counts['unread'], counts['refused'], counts['videos_without_answer']) == (1, 1, 1, 0)
    assert found.pred_answers.scores[2] == -1
    assert (
        'clip: 1 of 4 answers cannot be read, asked twice (refused: 1, cut: 0); windows with interpolated' in log.text
    )


def test_video_without_any_answer_gets_the_fallback_score(build, video, log):
    with VLMServer(lambda text, images: 'Eine Straße.') as server:
        found = predict(build(server, fallback_score=0.25), video)
    assert found.pred_scores.tolist() == [0.25] * 16
    assert found.answer_counts['videos_without_answer'] == 1
    assert 'clip: not one answer can be read, so it has no score; tests count its frames as 0.25' in log.text


def test_answers_in_another_language_are_read(build, video):
    with VLMServer(lambda text, images: 'Bewertung: 0,75. Ein Mann klettert.') as server:
        found = predict(build(server), video)
    assert found.pred_scores.tolist() == [0.75] * 16
    assert found.pred_answers.reasons[0] == 'Bewertung: 0,75. Ein Mann klettert.'


def test_expected_costs_equal_those_of_the_run(build, video):
    with VLMServer(brightness) as server:
        model = build(server)
        before = model.expected(str(video))
        predict(model, video)
        after = model.expected(str(video))
    assert (before.questions, before.calls, before.images, before.cached) == (4, 4, 4, 0)
    assert before.tokens_in == 4 * (len(model.question_text()) // 4 + 4)  # a frame of 48 x 32 pixels: 2 x 2 patches
    assert (after.calls, after.cached, after.tokens_in) == (0, 4, 0)
    assert model.counts.calls == 4


def test_frames_by_change(build, video):
    """One frame for the whole video: the one after the largest step of grey, 102 to 204."""
    with VLMServer(brightness) as server:
        model = build(server, windows=dict(stride=16, choose='change'))
        assert predict(model, video).pred_scores[0] == pytest.approx(0.8, abs=0.01)


class Tower:
    """Features by grey: windows of equal grey are equal."""

    def frames(self, index, inds, device):
        return torch.nn.functional.one_hot(torch.tensor([i // 8 for i in inds])).float()


def test_similar_windows_share_scores(build, video):
    with VLMServer(brightness) as server:
        model = build(server)
    model.tower = Tower()
    from vadlab.models.vlm.refinement import NeighbourScores

    model.refinement = [NeighbourScores(count=2, scale=100.0)]
    with server:
        found = predict(model, video)
    assert found.pred_scores.numpy() == pytest.approx(np.repeat([0.1, 0.6], 8), abs=0.01)


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(classes=('Normal',)), ConfigError, 'at least one abnormal class'),
        (dict(fallback_score=2.0), ConfigError, 'fallback_score'),
        (dict(definition='x' * 10_000), ConfigError, '10,000 characters; give 1 to 4,000'),
        (dict(definition=' '), ConfigError, 'characters; give 1'),
        (dict(refinement=[dict(type='NeighbourScores', count=1)]), ConfigError, 'tower'),
        (dict(question='nowhere.txt'), MissingFileError, 'no file nowhere.txt'),
    ],
)
def test_wrong_options(build, options, error, message):
    with VLMServer(brightness) as server, pytest.raises(error, match=message):
        build(server, **options)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'has no question'),
        ('# only a comment', 'has no question'),
        ('Is {definiton} here?', r"no placeholder {definiton}\. Did you mean 'definition'"),
        ('x' * 30_000, 'at most 20,000'),
    ],
)
def test_question_files_that_cannot_be_used(build, tmp_path, text, message):
    (tmp_path / 'q.txt').write_text(text)
    with VLMServer(brightness) as server, pytest.raises(DataError, match=message):
        build(server, question=str(tmp_path / 'q.txt'))


def test_prompts_need_a_place_in_the_question(build, tmp_path):
    (tmp_path / 'q.txt').write_text('Is it odd? Answer {"score": 0..1}')
    with VLMServer(brightness) as server:
        model = build(server, question=str(tmp_path / 'q.txt'))
    with pytest.raises(ConfigError, match=r'q\.txt has no placeholder {definition}'):
        model.use_prompts(['a cat'])


@pytest.mark.parametrize('prompts', [[], [' '], ['a', 'A'], ['x' * 10_000]])
def test_prompts_that_cannot_be_used(build, prompts):
    with VLMServer(brightness) as server:
        model = build(server)
    with pytest.raises(ConfigError, match=r'[Pp]rompt|characters'):
        model.use_prompts(prompts)


def test_identity_tells_settings_apart(build):
    with VLMServer(brightness) as server:
        first, same, other = build(server), build(server), build(server, windows=dict(stride=8))
    assert first.identity == same.identity != other.identity


def test_nothing_is_trained(build):
    with VLMServer(brightness) as server:
        model = build(server)
    with pytest.raises(ConfigError, match='nothing to train'):
        model([], [], mode='loss')
    assert json.dumps(sorted(model.state_dict())) == '["unused"]'
