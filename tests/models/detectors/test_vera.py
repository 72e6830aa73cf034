"""VERA on short videos, against a server that answers by rules."""

import re

import cv2
import numpy as np
import pytest
import torch

from tests.models.vlm.vlm_server import MODEL, VLMServer
from vadlab.models.detectors.vera import VERA
from vadlab.structures import VADDataSample
from vadlab.utils.errors import CheckpointError, ConfigError, DataError


def learner(text, images):
    """Knows an anomaly (bright frames) only if a guiding question asks about light; asked to rewrite, it adds it."""
    if 'Improve the questions' in text:
        return 'I add light.\n**New questions:**\n1. Is there bright light?\n2) Is anybody running?\n- Is it late?'
    bright = np.mean([image.mean() for image in images]) > 128
    said = int(bright and 'light' in text)
    return f'1. It looks {"bright" if bright else "dark"}.\nOutput:\n{said}'


@pytest.fixture
def videos(tmp_path):
    """A dark normal video and a bright anomalous one, of 12 frames each, as training samples."""
    samples = []
    for name, grey in (('Normal_1', 20), ('Arson_1', 230)):
        folder = tmp_path / name
        folder.mkdir()
        for i in range(12):
            cv2.imwrite(str(folder / f'{i:03d}.png'), np.full((32, 48, 3), grey, np.uint8))
        sample = VADDataSample(metainfo={'video_id': name, 'video_path': str(folder), 'total_frames': 12})
        sample.gt_label = int(grey > 128)
        samples.append(sample)
    return samples


@pytest.fixture
def build(tmp_path):
    def build(server, **options):
        settings = dict(
            classes=('Normal', 'Arson'),
            client=dict(type='OpenAIClient', model_name=MODEL, base_url=server.url, first_delay_s=0.01, patience_s=1.0),
            windows=dict(stride=4, span=8, num_frames=2, choose='starts', centre='start'),
            question='vadlab::questions/vera_question.txt',
            rewrite='vadlab::questions/vera_rewrite.txt',
            guiding='vadlab::questions/vera_guiding.txt',
            parser=dict(type='YesNoParser'),
            answer_cache=str(tmp_path / 'answers.sqlite'),
        )
        return VERA(**{**settings, **options})

    return build


def test_a_step_criticises_the_questions_and_replaces_them(build, videos):
    with VLMServer(learner) as server:
        model = build(server)
        first = model.guiding_text
        before = model([], videos, mode='loss')
        learnt = model.guiding_text
        after = model([], videos, mode='loss')
    assert first.startswith('1. Does a person')
    assert learnt == '1. Is there bright light?\n2. Is anybody running?\n3. Is it late?'
    assert (before['accuracy'], after['accuracy']) == (0.5, 1.0)
    assert before['loss'].requires_grad
    assert before['loss'] == 0
    rewriting = server.bodies[2]['messages'][0]['content']
    text = rewriting[-1]['text']
    assert first in text
    assert 'decided: 0, 0' in text
    assert 'Right would be: 0, 1' in text
    assert 'video 1: frames 1 to 2; video 2: frames 3 to 4' in text
    assert 'at most\n5 questions' in text
    assert [part['type'] for part in rewriting].count('image_url') == 4


def test_validation_asks_about_the_whole_video_once(build, videos):
    with VLMServer(learner) as server:
        model = build(server)
        model.guiding_text = 'Is there light?'
        found = model.val_step(dict(inputs=[torch.zeros(0, 3, 1, 1)] * 2, data_samples=videos))
    assert [sample.pred_scores.tolist() for sample in found] == [[0.0] * 12, [1.0] * 12]
    assert len(server.bodies) == 2


def test_test_asks_about_windows_with_the_questions(build, videos):
    with VLMServer(learner) as server:
        model = build(server)
        model.guiding_text = '1. Is there light?'
        found = model([], [videos[1]], mode='predict')[0]
    assert found.pred_scores.tolist() == [1.0] * 12
    assert len(found.pred_answers.scores) == 3
    assert all('1. Is there light?' in body['messages'][0]['content'][-1]['text'] for body in server.bodies)
    assert found.pred_answers.reasons[0] == '1. It looks bright.'


def test_questions_travel_in_the_checkpoint(build):
    with VLMServer(learner) as server:
        model, other = build(server), build(server)
        model.guiding_text = '1. Brennt es? 着火了吗？'
        assert model.identity != other.identity
        other.load_state_dict(model.state_dict())
    assert other.guiding_text == '1. Brennt es? 着火了吗？'
    assert model.identity == other.identity
    other.question_bytes.zero_()
    with pytest.raises(CheckpointError, match='no guiding questions'):
        other.question_text()
    other.question_bytes.fill_(255)
    with pytest.raises(CheckpointError, match='not a text'):
        other.question_text()


def test_unreadable_rewrite_keeps_the_questions(build, videos, log):
    with VLMServer(lambda text, images: 'Output: 0' if 'Improve' not in text else 'All is well.') as server:
        model = build(server)
        before = model.guiding_text
        model([], videos, mode='loss')
    assert model.guiding_text == before
    assert 'the old ones are kept' in log.text
    assert len(server.bodies) == 4  # two videos, and two tries to rewrite


def test_a_repeated_step_is_answered_from_the_cache(build, videos):
    with VLMServer(learner) as server:
        build(server)([], videos, mode='loss')
        asked = server.number
        again = build(server)
        again([], videos, mode='loss')
    assert server.number == asked
    assert again.guiding_text.startswith('1. Is there bright light?')


@pytest.mark.parametrize(
    ('answer', 'expected'),
    [
        ('New questions:\n1. A?\n2. B?', '1. A?\n2. B?'),
        (
            'Current and new questions: see below\nNew Prompt Questions:\n```\nIs it A?\nIs it B?\n```',
            '1. Is it A?\n2. Is it B?',
        ),
        ('New questions:\n' + '\n'.join(f'{i}. Q{i}?' for i in range(1, 9)), '1. Q1?\n2. Q2?\n3. Q3?\n4. Q4?\n5. Q5?'),
        ('1. A?\n2. B?', None),
        ('New questions: none', None),
        ('New questions:\n1. ' + 'x' * 5000, None),
    ],
)
def test_new_questions_are_read(build, answer, expected):
    with VLMServer(learner) as server:
        assert build(server).new_questions(answer) == expected


@pytest.mark.parametrize(
    ('options', 'text', 'error', 'message'),
    [
        (dict(max_questions=0), '', ConfigError, 'max_questions'),
        ({}, '# nothing', DataError, 'no guiding question'),
        ({}, 'x' * 5000, DataError, '5,000 bytes'),
        (dict(question='vadlab::questions/plain.txt'), '1. A?', DataError, 'no placeholder {questions}'),
        (dict(rewrite='vadlab::questions/vera_question.txt'), '1. A?', DataError, 'no placeholder {predictions}'),
    ],
)
def test_wrong_options(build, tmp_path, options, text, error, message):
    (tmp_path / 'g.txt').write_text(text)
    with VLMServer(learner) as server, pytest.raises(error, match=re.escape(message)):
        build(server, guiding=str(tmp_path / 'g.txt'), **options)


def test_prompts_would_have_no_effect(build):
    with VLMServer(learner) as server:
        model = build(server)
    with pytest.raises(ConfigError, match='no placeholder {definition}'):
        model.use_prompts(['a cat'])


def test_too_many_guiding_questions_name_their_file(build, tmp_path):
    (tmp_path / 'long.txt').write_text('Is there a fight? ' * 2000)
    with pytest.raises(DataError, match=r'long\.txt has 3\d,\d{3} bytes of questions, more than'):
        build(VLMServer(learner), guiding=str(tmp_path / 'long.txt'))
