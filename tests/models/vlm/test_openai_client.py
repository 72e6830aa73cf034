"""The client against a real HTTP server with faults, see vlm_server.py."""

import threading

import numpy as np
import pytest

from vadlab.models.vlm.clients import OpenAIClient
from vadlab.models.vlm.request import Request
from vadlab.utils.errors import ConfigError, ServiceError

from .vlm_server import MODEL, VLMServer, brightness, wait

FRAME = np.full((48, 64, 3), 51, np.uint8)


def client(server, **options):
    options = {'first_delay_s': 0.02, 'patience_s': 20.0, **options}
    return OpenAIClient(MODEL, server.url, **options)


def ask(server, count=6, frames=1, schema=None, **options):
    """Ask some different questions; the texts of the answers, in the order of the questions."""
    one = client(server, **options)
    images = (one.prepare(FRAME),) * frames
    requests = [Request(f'question {i}', 'v', tuple(range(frames)), schema, images=images) for i in range(count)]
    found, lock = {}, threading.Lock()

    def keep(request, answer):
        with lock:
            found[request.text] = answer

    one.answers(iter(requests), keep)
    return [found[request.text] for request in requests]


def test_text_frames_and_usage_travel():
    with VLMServer(lambda text, images: f'{text} {[round(float(i.mean())) for i in images]}') as server:
        answers = ask(server, count=2, frames=2)
    assert [answer.text for answer in answers] == [f'Frame 1: Frame 2: question {i} [51, 51]' for i in range(2)]
    assert (answers[0].tokens_in, answers[0].tokens_out, answers[0].tries) == (100, 10, 1)
    assert answers[0].seconds > 0
    assert not answers[0].is_cut
    assert not answers[0].is_refused


def test_requests_run_at_once():
    """The server answers none of eight requests before all eight are there."""
    all_here = threading.Barrier(8, timeout=30)

    def meet(number, handler):
        all_here.wait()
        return False

    with VLMServer(brightness, meet) as server:
        ask(server, count=8, requests_at_once=8)
    assert not all_here.broken


def every_tenth_dropped(number, handler):
    if number % 10 == 3:
        handler.drop()
    return number % 10 == 3


def half_of_a_body(number, handler):
    if number % 3 == 1:
        handler.send(200, {'choices': [{'message': {'content': 'a long answer'}}]}, cut=20)
        handler.close_connection = True
    return number % 3 == 1


def not_json(number, handler):
    if number == 1:
        handler.send(200, 'broken', {'X-Test': 1})
    return number == 1


def status(code, until, **headers):
    def fault(number, handler):
        if number <= until:
            handler.fail(code, 'busy', **headers)
        return number <= until

    return fault


@pytest.mark.parametrize(
    'fault',
    [every_tenth_dropped, half_of_a_body, not_json, status(429, 5), status(503, 3), status(429, 1, Retry_After=0.05)],
    ids=['dropped', 'half a body', 'not JSON', '429', '503', 'Retry-After'],
)
def test_faults_that_pass_are_survived(fault):
    with VLMServer(brightness, fault) as server:
        answers = ask(server, count=12, requests_at_once=3)
    assert all('"score": 0.2' in answer.text for answer in answers)
    assert sum(answer.tries for answer in answers) > 12


def test_slow_answer_is_a_time_out_and_is_asked_again():
    with VLMServer(brightness, lambda number, handler: wait(1.0)(number, handler) if number == 1 else False) as server:
        (answer,) = ask(server, count=1, timeout_s=0.5)
    assert answer.tries >= 2


def test_server_that_is_away_for_a_while():
    server = VLMServer(brightness).start()
    one = client(server)
    one.connect()
    server.stop()
    threading.Timer(0.5, server.start).start()
    answer = one.ask(Request('q', images=(one.prepare(FRAME),)))
    server.stop()
    assert answer.tries > 2
    assert '0.2' in answer.text


def test_server_that_never_comes_back_is_given_up():
    with (
        VLMServer(brightness, status(500, 10**6)) as server,
        pytest.raises(ServiceError, match=r'no answer for \d+ s .*status 500.*same command continues'),
    ):
        ask(server, patience_s=0.2)


def test_wrong_address_fails_at_once():
    one = OpenAIClient(MODEL, 'http://127.0.0.1:9/v1')
    with pytest.raises(ServiceError, match=r'No server answers at http://127\.0\.0\.1:9/v1 .*base_url'):
        one.answers(iter([Request('q')]), lambda *_: None)


@pytest.mark.parametrize(
    'url', ['localhost:8000', 'ftp://x/v1', 'http://me:secret@host/v1', 'http://host/v1?key=secret']
)
def test_addresses_that_are_none(url):
    with pytest.raises(ConfigError, match='base_url') as caught:
        OpenAIClient(MODEL, url)
    assert 'secret' not in str(caught.value)


def test_unknown_model_names_the_known_ones():
    with VLMServer(brightness, models=('tiny-vlmm', 'b')) as server, pytest.raises(ConfigError, match="'tiny-vlmm'"):
        ask(server)


def test_server_without_a_list_of_models():
    with VLMServer(brightness, models=None) as server:
        assert len(ask(server)) == 6


def test_missing_key(monkeypatch):
    monkeypatch.delenv('SOME_KEY', raising=False)
    one = OpenAIClient(MODEL, 'https://api.example.com/v1', api_key_env='SOME_KEY')
    with pytest.raises(ConfigError, match='export SOME_KEY=.*api_key_env=None'):
        one.connect()


def test_key_is_sent_and_nowhere_else(monkeypatch):
    monkeypatch.setenv('SOME_KEY', 'secret-123')
    with VLMServer(brightness) as server:
        one = client(server, api_key_env='SOME_KEY')
        one.answers(iter([Request('q', images=(one.prepare(FRAME),))]), lambda *_: None)
    assert server.keys == ['Bearer secret-123']
    assert 'secret-123' not in repr(vars(one)) + str(one.settings)


def test_refused_key():
    def fault(number, handler):
        handler.fail(401, 'bad key')
        return True

    with VLMServer(brightness, fault) as server, pytest.raises(ConfigError, match='refuses the key of the .*OPENAI'):
        ask(server)


def refusing(message, code=400):
    def fault(number, handler):
        handler.fail(code, message)
        return True

    return fault


@pytest.mark.parametrize(
    ('message', 'expected'),
    [
        # 4 frames of 700 tokens and 200 for question and answer; 1200 leave room for one.
        (
            "This model's maximum context length is 1200 tokens. However, you requested 3000 tokens",
            'About 1 of these frames fit. Set num_frames=1',
        ),
        (
            "This model's maximum context length is 150 tokens. However, you requested 3000 tokens.",
            'requested 3000 tokens. Not one of these frames fits. Set a smaller vlm_image_size',
        ),
        ('the request exceeds the available context size', 'Show fewer frames'),
        ('image input is not supported - hint: you may need to provide the mmproj', 'does not take the images'),
        ('something else', 'does not take the question: something else'),
    ],
)
def test_questions_that_the_server_refuses(message, expected):
    with VLMServer(brightness, refusing(message)) as server, pytest.raises(ConfigError, match=expected):
        ask(server, frames=4, max_tokens=198)


def test_no_quota_is_not_waited_for():
    def fault(number, handler):
        handler.send(429, {'error': {'message': 'quota exceeded', 'code': 'insufficient_quota'}})
        return True

    with VLMServer(brightness, fault) as server, pytest.raises(ServiceError, match='quota exceeded'):
        ask(server, patience_s=60)


def test_server_without_json_schema_is_asked_without():
    def fault(number, handler):
        if 'response_format' in handler.body:
            handler.fail(400, 'response_format is not supported')
            return True
        return False

    with VLMServer(brightness, fault) as server:
        answers = ask(server, count=4, schema={'type': 'object'}, requests_at_once=1)
    assert len(answers) == 4
    assert ['response_format' in body for body in server.bodies] == [True, False, False, False, False]


def test_content_filter_is_a_refusal():
    with VLMServer(brightness, refusing('blocked by content_filter')) as server:
        (answer,) = ask(server, count=1)
    assert answer.is_refused


def test_marked_refusal_and_cut_answer():
    def fault(number, handler):
        handler.complete('', refusal='no') if number == 1 else handler.complete('{"sc', reason='length')
        return True

    with VLMServer(brightness, fault) as server:
        first, second = ask(server, count=2, requests_at_once=1)
    assert first.is_refused
    assert not first.is_cut
    assert second.is_cut
    assert not second.is_refused


def test_frames_keep_their_shape_and_are_not_enlarged():
    one = OpenAIClient(MODEL, image_size=100)
    assert one.size_of(1080, 1920) == (56, 100)
    assert one.size_of(50, 80) == (50, 80)


def test_error_of_the_caller_ends_the_threads():
    def broken():
        yield Request('q', images=())
        raise RuntimeError('cannot decode')

    with VLMServer(lambda text, images: 'x', wait(0.1)) as server, pytest.raises(RuntimeError, match='cannot decode'):
        client(server).answers(broken(), lambda *_: None)
    workers = [thread for thread in threading.enumerate() if thread.name == 'OpenAIClient']
    for thread in workers:
        thread.join(30)
    assert not any(thread.is_alive() for thread in workers)


def test_key_that_the_server_repeats_is_not_kept(monkeypatch):
    monkeypatch.setenv('OPENAI_API_KEY', 'sk-very-secret')
    with VLMServer(lambda text, images: 'your key is sk-very-secret') as server:
        (answer,) = ask(server, count=1)
        assert server.keys == ['Bearer sk-very-secret']
    assert answer.text == 'your key is ***'
    message = 'x' * 390 + ' sk-very-secret'  # longer than what is told
    with VLMServer(brightness, refusing(message)) as server, pytest.raises(ConfigError, match=r'x \*\*\*$'):
        ask(server)
