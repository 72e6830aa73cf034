import json

import pytest
import torch

from vadlab.utils.errors import ConfigError, MissingDependencyError


@pytest.fixture(scope='module')
def check(load_tool):
    return load_tool('gpu_check')


@pytest.mark.slow
def test_tiny_run_on_a_cpu_fills_the_table_and_the_file(check, tmp_path, capsys):
    out = tmp_path / 'gpu.json'
    assert check.main(['--device', 'cpu', '--tiny', '--json', str(out)]) == 0
    found = json.loads(out.read_text())
    assert [row['holds'] for row in found['checks']] == [True] * 7
    assert found['matrix_tflops'] > 0
    rows = {(row['section'], row['variant']): row for row in found['results']}
    assert set(rows) == {
        ('vadclip', 'plain'), ('fsgr', 'plain'),
        ('step', 'plain'), ('step', 'checkpointing'), ('step', 'gradient cache'), ('step', 'compile'),
    }  # fmt: skip
    for row in rows.values():
        assert row['note'] == ''
        assert row['seconds'] > 0
        assert row['mfu'] == pytest.approx(row['tflops'] / found['matrix_tflops'])
        assert row['peak_gib'] is None  # these two exist on a GPU only
        assert row['busy'] is None
    step, cached = rows['step', 'plain'], rows['step', 'gradient cache']
    assert step['frames_per_s'] == pytest.approx(16 / step['seconds'])
    # twice the videos, twice the model's arithmetic: what the cache computes twice does not count
    assert cached['tflops'] * cached['seconds'] == pytest.approx(2 * step['tflops'] * step['seconds'])
    said = capsys.readouterr().out
    assert 'ok      CPU and cpu agree, plain, float32' in said
    assert 'tiny, 2 x 8 frames' in said


def test_flops_of_a_step_by_hand(check):
    """Oracle: two FLOPs per weight of each matrix product and token, three times for a training step."""
    from benchmarks import gpu

    chip = gpu.Chip('cpu', 600)
    per_frame = (gpu.fgclip_flops(chip, 'tiny', 32) - gpu.fgclip_flops(chip, 'tiny', 16)) / (2 * 16)
    width, tokens, layers = 32, 17, 3
    blocks = (layers - 1) * tokens * 12 * width**2
    assert per_frame > 3 * 2 * blocks
    assert per_frame < 3 * 2 * (blocks + tokens * 12 * width**2 + 16 * 3 * 16**2 * width) * 1.2


def test_what_does_not_fit_into_the_time_is_listed(check, monkeypatch):
    from benchmarks import gpu

    told = []
    chip = gpu.Chip('cpu', -1.0)
    told += list(gpu.fgclip_steps(chip, gpu.TINY, 1.0))
    assert {result.note for result in told} == {'no time left'}
    assert check.describe(told[0]).split()[:5] == ['tiny,', '2', 'x', '8', 'frames']


def test_failures_are_notes_and_do_not_end_the_run():
    from benchmarks import gpu

    def fail(error):
        def run():
            raise error

        return gpu.attempt(gpu.Chip('cpu', 600), gpu.Result('step', 'a', 'plain'), run).note

    assert fail(torch.OutOfMemoryError('x')) == 'out of memory'
    assert fail(RuntimeError('no kernel image\nmore')) == 'RuntimeError: no kernel image'


def test_a_failed_check_is_status_1(check, monkeypatch, capsys):
    from benchmarks import gpu

    found = gpu.Report('chip', 1.0, checks=[gpu.Check('a', True, 'x'), gpu.Check('b', False, 'y')])
    monkeypatch.setattr(gpu, 'run', lambda *_: found)
    assert check.main(['--device', 'cpu', '--tiny']) == 1


def test_without_a_gpu_the_message_says_what_to_do(check, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(MissingDependencyError, match='no GPU here.*--device cpu --tiny'):
        check.main([])


@pytest.mark.parametrize('minutes', ['0', '-1', 'nan'])
def test_minutes_must_be_positive(check, minutes):
    with pytest.raises(ConfigError, match='--minutes must be > 0'):
        check.main(['--minutes', minutes])
