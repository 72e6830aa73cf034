"""Asking a vision-language model through the commands: a real HTTP server, and the demo's small CLIP as the model."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from tests.models.vlm.clip_answers import ClipAnswers
from tests.models.vlm.vlm_server import MODEL, VLMServer, brightness
from vadlab.datasets.formats.temporal_annotations import intervals_to_mask, read_temporal_annotations
from vadlab.structures.video_result import VideoResult
from vadlab.utils.errors import CheckpointError, ConfigError

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / 'configs/vlm_plain_demo.py')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Seven rendered test videos of the demo, short ones."""
    folder = tmp_path_factory.mktemp('demo')
    command = ['--out', str(folder), '--train', '0', '--test', '7', '--frames', '60', '90', '--workers', '1']
    command += ['--classes', 'Normal', 'Arson', 'Explosion']  # as in `make demo`
    from tools.make_demo_data import main

    assert main(command) == 0
    return folder


@pytest.fixture(scope='module')
def clip():
    return ClipAnswers()


def options(server, data, folder, **more):
    settings = dict(data_root=data, base_url=server.url, model_name=MODEL, answer_cache=folder / 'answers.sqlite')
    settings |= dict(num_frames=1, span=None, patience_s=30)
    settings |= {'model.client.first_delay_s': 0.02, 'tensorboard': False, **more}
    return ['--cfg-options', *(f'{key}={value}' for key, value in settings.items())]


def faulty():
    """Every tenth request is dropped, some get 429 or half a body, and some answers are half a JSON object."""
    halves = []

    def fault(number, handler):
        if number % 10 == 0:
            handler.drop()
        elif number % 10 in (2, 3):
            handler.fail(429, 'too many requests', Retry_After=0.02)
        elif number % 10 == 5:
            handler.send(200, {'choices': [{'message': {'content': 'half'}}]}, cut=15)
            handler.close_connection = True
        elif number % 10 == 7 and handler.digest not in halves:
            halves.append(handler.digest)
            handler.complete('{"reason": "it looks li', reason='length')
        else:
            return False
        return True

    return fault


def test_test_reaches_the_auc_of_the_model_behind_a_faulty_server(test, clip, data, tmp_path):
    """Oracle: the same CLIP without server, JPEG and question, on the same frames."""
    report = tmp_path / 'metrics.json'
    command = [CONFIG, 'none', '--out', str(report), '--work-dir', str(tmp_path / 'work')]
    with VLMServer(clip, faulty()) as server:
        assert test([*command, *options(server, data, tmp_path)]) == 0
        metrics, asked = json.loads(report.read_text())['metrics'], server.number
        written = dict(np.load(tmp_path / 'metrics.npz'))
        assert metrics['answers/calls'] == asked > metrics['answers/questions'] >= 7 * 4
        assert test([*command, *options(server, data, tmp_path, **{'model.interpolate': False})]) == 0
        again = json.loads(report.read_text())['metrics']
        assert server.number == asked  # other scores of frames, from the same answers
        assert (again['answers/calls'], again['answers/cached']) == (0, again['answers/questions'])
    truth = read_temporal_annotations(data / 'Temporal_Anomaly_Annotation.txt')
    scores, labels = [], []
    for result in clip.inferencer(data / 'Videos'):
        scores.append(result.scores)
        labels.append(intervals_to_mask(truth[Path(result.name).stem].intervals, len(result.scores)))
    expected = roc_auc_score(np.concatenate(labels), np.concatenate(scores))
    assert expected > 0.6
    assert metrics['frame/auc'] == pytest.approx(expected, abs=0.05)  # JPEG matters to small events
    assert metrics['answers/unread'] == 0
    assert np.abs(written[Path(result.name).stem] - result.scores).max() < 0.05


def test_dry_run_counts_and_asks_nothing(test, data, tmp_path, capsys):
    with VLMServer(brightness) as server:
        assert test([CONFIG, 'none', '--dry-run', *options(server, data, tmp_path, num_frames=3, span=64)]) == 0
        assert server.number == 0
    words = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line[-1:].isdigit())
    assert int(words['videos']) == 7
    assert int(words['calls']) == int(words['questions']) >= 7 * 4
    assert int(words['images'].replace(',', '')) <= 3 * int(words['calls'])
    assert not (tmp_path / 'work_dirs').exists()


def test_dry_run_of_a_foreign_checkpoint(load_tool, data, tmp_path):
    torch.save({'state_dict': {'classifier.weight': torch.zeros(1)}, 'meta': {}}, tmp_path / 'other.pth')
    command = [str(ROOT / 'configs/vera_demo.py'), str(tmp_path / 'other.pth'), '--dry-run']
    command += ['--cfg-options', f'data_root={data}', f'answer_cache={tmp_path / "answers.sqlite"}']
    with pytest.raises(CheckpointError, match='belongs to another model'):
        load_tool('test').main(command)


def test_dry_run_is_of_methods_that_ask(load_tool, data, tmp_path):
    with pytest.raises(ConfigError, match='--dry-run: FGCLIP asks no model'):
        load_tool('test').main([str(ROOT / 'configs/fgclip_demo.py'), 'none', '--dry-run'])


def test_infer_with_prompts_writes_reasons_to_json_and_report(load_tool, data, tmp_path, capsys):
    video = str(sorted((data / 'Videos').rglob('Arson*.mp4'))[0])

    def answer(text, images):
        assert 'a person climbing a fence' in text
        return json.dumps({'reason': 'someone is on the fence', 'class': 'a person climbing a fence', 'score': 0.9})

    command = [str(ROOT / 'configs/vlm_plain_ucf.py'), 'none', video, '--prompt', 'a person climbing a fence']
    command += ['--out', str(tmp_path / 'out'), '--report', str(tmp_path / 'report')]
    with VLMServer(answer) as server:
        set_up = options(server, data, tmp_path)
        assert load_tool('infer').main([*command, '--dry-run', *set_up]) == 0
        assert server.number == 0
        assert load_tool('infer').main([*command, *set_up]) == 0
    printed = capsys.readouterr().out
    assert 'a person climbing a fence\n      someone is on the fence' in printed
    assert f'answers: {server.number} questions, 0 of them from the cache' in printed
    (event,) = VideoResult.load(tmp_path / 'out' / f'{Path(video).name}.json').events
    assert (event.label, event.reason) == ('a person climbing a fence', 'someone is on the fence')
    assert 'someone is on the fence' in (tmp_path / 'report/pages' / f'{Path(video).name}.html').read_text()


def test_video_without_a_readable_answer_is_not_scored(load_tool, data, tmp_path, capsys):
    video = str(sorted((data / 'Videos').rglob('Arson*.mp4'))[0])
    with VLMServer(lambda text, images: 'I see a street.') as server:
        assert load_tool('infer').main([CONFIG, 'none', video, *options(server, data, tmp_path)]) == 2
    printed = capsys.readouterr()
    assert 'not one answer of the model can be read' in printed.err
    assert f'asked again: {server.number // 2}, not readable: {server.number // 2}' in printed.out


def test_report_of_a_test_has_reasons(test, data, tmp_path):
    with VLMServer(lambda text, images: '{"score": 0.9, "class": "Arson", "reason": "flames"}') as server:
        command = [CONFIG, 'none', '--report', str(tmp_path / 'report'), '--work-dir', str(tmp_path / 'work')]
        assert test([*command, *options(server, data, tmp_path)]) == 0
    pages = list((tmp_path / 'report/pages').glob('Arson*.html'))
    assert pages
    assert '"reason": "flames"' in pages[0].read_text().replace('":"', '": "')


@pytest.mark.slow
def test_killed_command_continues_and_no_answer_is_asked_for_twice(data, tmp_path):
    """The server kills the process while it waits for its eighth answer."""
    running = []

    def fault(number, handler):
        if number == 8:
            os.kill(running[0].pid, signal.SIGKILL)
            running[0].wait()
        return False

    with VLMServer(brightness, fault) as server:
        command = [sys.executable, str(ROOT / 'tools/infer.py'), CONFIG, 'none', str(data / 'Videos')]
        command += options(server, data, tmp_path, requests_at_once=1)
        environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
        running.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        assert running[0].wait(timeout=120) == -signal.SIGKILL
        assert server.number == 8
        second = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert second.returncode == 0, second.stderr
    repeated = [digest for digest, count in server.asked.items() if count > 1]
    assert len(repeated) == 1  # the question whose answer never arrived
    assert '7 of them from the cache' in second.stdout


def test_command_that_an_error_ends_continues(load_tool, data, tmp_path, capsys):
    def fault(number, handler):
        if number == 8:
            handler.fail(400, 'out of order')
        return number == 8

    command = [CONFIG, 'none', str(data / 'Videos')]
    with VLMServer(brightness, fault) as server:
        command += options(server, data, tmp_path, requests_at_once=1)
        with pytest.raises(ConfigError, match='does not take the question: out of order'):
            load_tool('infer').main(command)
        assert load_tool('infer').main(command) == 0
    assert [count for count in server.answered.values() if count > 1] == []
    assert '7 of them from the cache' in capsys.readouterr().out
