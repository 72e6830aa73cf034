import cv2
import numpy as np
import pytest

from vadlab.models.detectors.vlm_detector import VLMDetector
from vadlab.models.vlm.clients import TransformersVLM
from vadlab.models.vlm.clients.prompt_prefix import PromptPrefix
from vadlab.models.vlm.request import Request
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError

from . import tiny_vlms

FAMILIES = {'idefics3': tiny_vlms.write_idefics3, 'qwen2_vl': tiny_vlms.write_qwen2_vl}


@pytest.fixture(scope='module', params=FAMILIES)
def folder(request, tmp_path_factory):
    return FAMILIES[request.param](tmp_path_factory.mktemp(request.param))


def ask(folder, requests, **options):
    found = {}
    client = TransformersVLM(str(folder), device='cpu', **options)
    client.answers(iter(requests), lambda request, answer: found.__setitem__(request, answer))
    return [found[request] for request in requests]


def questions(count=6):
    """Questions of different lengths, with one to three frames."""
    random = np.random.default_rng(0)
    return [
        Request(
            'what ' * (i + 1),
            frame_inds=tuple(range(1 + i % 3)),
            images=tuple(random.integers(0, 255, (32, 48, 3)).astype(np.uint8) for _ in range(1 + i % 3)),
        )
        for i in range(count)
    ]


def test_batches_give_the_same_answers_as_single_questions(folder):
    single, batched = (ask(folder, questions(), batch_size=n, max_tokens=10) for n in (1, 4))
    assert [a.text for a in single] == [a.text for a in batched]
    assert [(a.tokens_in, a.tokens_out) for a in single] == [(a.tokens_in, a.tokens_out) for a in batched]
    assert all(0 < answer.tokens_out <= 10 for answer in single)
    assert single[0].tokens_in < single[1].tokens_in < single[2].tokens_in


def test_frames_change_the_answer(folder):
    black, white = np.zeros((32, 48, 3), np.uint8), np.full((32, 48, 3), 255, np.uint8)
    answers = ask(folder, [Request('q', frame_inds=(i,), images=(one,)) for i, one in enumerate((black, white))])
    assert answers[0].text != answers[1].text


def test_questions_without_frames(folder):
    assert all(answer.tokens_out for answer in ask(folder, [Request('a'), Request('abc')], max_tokens=5))


PREAMBLE = 'Here is what happens in a part of a video. Rate it from 0 to 1. '


def after_the_same_words():
    return [Request(PREAMBLE + 'thing ' * (1 + i % 3) + str(i)) for i in range(9)]


@pytest.mark.parametrize('batch_size', [1, 4])
def test_the_common_beginning_is_computed_once_and_answers_stay(folder, batch_size):
    """Against the same model without it."""
    plain = TransformersVLM(str(folder), device='cpu', max_tokens=12, batch_size=batch_size)
    plain.load()
    plain._prefix.is_used = False
    clients = [plain, TransformersVLM(str(folder), device='cpu', max_tokens=12, batch_size=batch_size)]
    found = []
    for client in clients:
        client.answers(iter(questions(4)), lambda request, answer: None)  # frames before must leave no trace
        answers = []
        client.answers(iter(after_the_same_words()), lambda request, answer, to=answers: to.append(answer))
        found.append([(answer.text, answer.tokens_in, answer.tokens_out) for answer in answers])
    assert found[0] == found[1]
    assert clients[0]._prefix.reused == 0
    assert clients[1]._prefix.reused >= (5 if batch_size == 4 else 8) * len(PREAMBLE)


def test_model_that_cannot_continue_from_a_prefix_computes_it_for_each_question(folder, monkeypatch):
    """Stored values that are wrong stand for such a model."""
    expected = ask(folder, after_the_same_words(), max_tokens=8)
    store = PromptPrefix._store

    def wrong(self, tokens, device):
        store(self, tokens, device)
        for layer in self._cache.layers:
            layer.values = layer.values + 1

    monkeypatch.setattr(PromptPrefix, '_store', wrong)
    client = TransformersVLM(str(folder), device='cpu', max_tokens=8)
    found = []
    client.answers(iter(after_the_same_words()), lambda request, answer: found.append(answer))
    assert not client._prefix.is_used
    assert [one.text for one in found] == [one.text for one in expected]


def test_frames_are_never_shared(folder):
    client = TransformersVLM(str(folder), device='cpu', max_tokens=4, batch_size=2)
    client.answers(iter(questions()), lambda request, answer: None)
    assert client._prefix.reused == 0


def test_context_that_is_too_short_says_how_many_frames_fit(folder):
    frame = np.zeros((32, 48, 3), np.uint8)
    request = Request('what is this?', frame_inds=tuple(range(40)), images=(frame,) * 40)
    with pytest.raises(ConfigError, match=r'40 frames .* context of 512\. About (\d+) frames fit') as caught:
        ask(folder, [request], max_tokens=20)
    fit = int(str(caught.value).split('About ')[1].split()[0])
    assert 5 < fit < 40
    ask(folder, [Request('what is this?', frame_inds=tuple(range(fit)), images=(frame,) * fit)], max_tokens=20)
    with pytest.raises(ConfigError, match=r'Not one frame fits\. Set a smaller vlm_image_size'):
        ask(folder, [Request('what? ' * 100, frame_inds=(0,), images=(frame,))], max_tokens=20)


def test_model_without_images(tmp_path):
    with pytest.raises(ConfigError, match='takes no images'):
        ask(tiny_vlms.write_text_model(tmp_path / 'text'), [Request('q')])


def test_code_of_a_repository_is_never_executed(tmp_path):
    with pytest.raises(ConfigError, match='never executed'):
        ask(tiny_vlms.write_model_with_code(tmp_path / 'code'), [Request('q')])


@pytest.mark.parametrize('name', ['/gone/model', './model', 'models/tiny/vlm'])
def test_folder_that_does_not_exist_is_named_without_asking_the_hub(name):
    with pytest.raises(ConfigError, match=f'there is no folder {name}'):
        ask(name, [Request('q')])


def test_folder_without_a_model(tmp_path):
    with pytest.raises(ConfigError, match='cannot be used'):
        ask(tmp_path, [Request('q')])


@pytest.mark.parametrize('options', [dict(batch_size=0), dict(dtype='float8'), dict(max_tokens=0), dict(image_size=0)])
def test_wrong_options(options):
    with pytest.raises(ConfigError):
        TransformersVLM('x', **options)


def test_detector_with_a_local_model(folder, tmp_path):
    """A random model answers nonsense: every window is asked about twice, and the video gets the fallback score."""
    (tmp_path / 'clip').mkdir()
    for i in range(4):
        cv2.imwrite(str(tmp_path / 'clip' / f'{i}.png'), np.full((32, 48, 3), 60 * i, np.uint8))
    (tmp_path / 'q.txt').write_text('odd?')
    model = VLMDetector(
        classes=('Normal', 'Fighting'),
        client=dict(type='TransformersVLM', model_name=str(folder), max_tokens=5, device='cpu'),
        windows=dict(stride=2),
        question=str(tmp_path / 'q.txt'),
        parser=dict(type='BracketParser'),
        answer_cache=str(tmp_path / 'answers.sqlite'),
    )
    sample = VADDataSample(metainfo={'video_id': 'clip', 'video_path': str(tmp_path / 'clip')})
    (found,) = model([], [sample], mode='predict')
    assert found.pred_scores.tolist() == [0.5] * 4
    assert (found.answer_counts['calls'], found.answer_counts['unread']) == (4, 2)
