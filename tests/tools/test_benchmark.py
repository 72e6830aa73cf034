import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from vadlab.utils.errors import ConfigError

TOOLS = Path(__file__).parents[2] / 'tools'


def _load_tool():
    spec = importlib.util.spec_from_file_location('benchmark_tool', TOOLS / 'benchmark.py')
    module = importlib.util.module_from_spec(spec)
    sys.modules['benchmark_tool'] = module
    spec.loader.exec_module(module)
    return module


benchmark = _load_tool()
from benchmarks import decode, harness, loader, metrics, plain_fgclip, readers, step, text, vadclip, videos  # noqa: E402


@pytest.mark.parametrize('size', [224, 112])
def test_number_survives_resizing_and_compression(tmp_path, size):
    path = tmp_path / 'video.mp4'
    videos.write_video(path, 40, gop=12, noise=6)
    with av.open(str(path)) as container:
        frames = [f.reformat(size, size, 'rgb24').to_ndarray() for f in container.decode(video=0)]
    assert [videos.read_number(frame) for frame in frames] == list(range(40))


def test_all_sixteen_bits_of_a_number_are_read():
    frame = np.zeros((videos.HEIGHT, videos.WIDTH, 3), np.uint8)
    for number in (0, 1, 0x8000, 0xA5C3, 0xFFFF):
        videos.draw_number(frame, number)
        assert videos.read_number(frame) == number


def test_frames_are_those_of_their_seed():
    first, again, other = (list(videos.make_frames(3, 4.0, seed)) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_hidden_beginning_is_not_shown(tmp_path):
    path = tmp_path / 'video.mp4'
    videos.write_video(path, 60, b_frames=3, gop=30)
    videos.hide_beginning(path, 17, 60)
    with av.open(str(path)) as container:
        numbers = [videos.read_number(f.to_ndarray(format='rgb24')) for f in container.decode(video=0)]
    assert numbers == list(range(17, 60))


def test_hiding_needs_an_edit_list(tmp_path):
    path = tmp_path / 'video.avi'
    videos.write_video(path, 5)
    with pytest.raises(ValueError, match='no edit list'):
        videos.hide_beginning(path, 1, 5)


def test_wanted_frames_are_the_middles_of_equal_parts():
    assert decode.spread_evenly(12, 4).tolist() == [1, 4, 7, 10]
    assert decode.spread_evenly(3, 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize('reader', ['planned', 'opencv', 'pyav_sequential'])
def test_reader_returns_the_frames_asked_for(tmp_path, reader):
    path = tmp_path / 'video.mp4'
    videos.write_video(path, 50, gop=20)
    job = decode.DecodeJob(reader, str(path), total=50, wanted=7, size=96, numbers=True)
    assert job.run()['numbers'] == decode.spread_evenly(50, 7).tolist()


@pytest.mark.parametrize('reader', ['opencv', 'pyav_sequential'])
def test_reader_says_that_the_file_ended(tmp_path, reader):
    path = tmp_path / 'video.mp4'
    videos.write_video(path, 10)
    with pytest.raises(EOFError, match='ends after 10 frames'):
        readers.READERS[reader](str(path), np.array([3, 30]), 96)


def test_kinds_of_files_are_read_rightly(tmp_path):
    kinds = ['edit list hides the beginning', 'cut in the middle']
    report = decode.check_frames(tmp_path, readers=('planned',), kinds=kinds, wanted=16, frames=120)
    assert [row.note for row in report.rows] == ['16 of 16 right', 'refused']
    assert report.errors == []
    assert 'edit list hides the beginning      16 of 16 right' in benchmark.format_kinds(report.rows)


def test_wrong_frames_and_unnoticed_damage_are_called_so():
    truth = np.arange(4)
    assert decode.judge(truth, truth, damaged=False) == ('4 of 4 right', True)
    assert decode.judge(truth + [0, 0, 1, 0], truth, damaged=False) == ('3 of 4 right', False)
    assert decode.judge(truth, truth, damaged=True) == ('says nothing, 0 of 4 frames wrong', False)


def test_spread_is_median_least_and_greatest():
    spread = harness.Spread.of([4.0, 1.0, 2.0])
    assert (spread.median, spread.min, spread.max) == (2.0, 1.0, 4.0)
    assert f'{spread:.1f}' == '2.0 (1.0-4.0)'
    assert f'{harness.Spread.of([3.0]):.1f}' == '3.0'


def test_limits_are_met_on_the_right_side():
    assert harness.limit('x', 0.7, 0.6).met
    assert not harness.limit('x', 0.7, 0.8).met
    assert harness.limit('x', 1.3, 1.4, at_least=True).met
    assert harness.limit('x', 1.3, None).met is None


def _metric_entries(**faults):
    return [
        harness.Entry(name, 'metrics:MetricJob', {'kind': kind, 'frames': 4000, **faults.get(kind, {})}, threads=1)
        for name, kind in (('sklearn', 'reference'), ('mine', 'ours'))
    ]


def test_contestants_take_turns_and_agree_with_scikit_learn():
    order = []
    rows = harness.compete(
        's', 'c', _metric_entries(), 2, 'sklearn', 'x/s', on_first=lambda name, details: order.append((name, details))
    )
    assert [name for name, _ in order] == ['sklearn', 'mine']
    assert order[0][1] == pytest.approx(order[1][1], abs=1e-12)
    assert [row.runs for row in rows] == [2, 2]
    assert (rows[0].ratio.median, rows[0].ratio.min) == (1.0, 1.0)
    assert rows[1].ratio.median > 0
    assert rows[1].rate.median == pytest.approx(1 / rows[1].wall_s.median, rel=0.6)
    assert rows[0].peak_mib > 0


@pytest.mark.slow
def test_contestants_give_memory_back_between_turns():
    script = (
        'import ctypes, sys\n'
        'from benchmarks.contestant import give_memory_back\n'
        'from benchmarks.harness import resident_bytes\n'
        'blocks = [bytearray(b"x" * 64000) for _ in range(1000)]\n'
        'last = bytearray(b"x" * 64000)\n'  # the end of the heap stays in use
        'del blocks\n'
        'before = resident_bytes()\n'
        'give_memory_back()\n'
        'print(before - resident_bytes() if hasattr(ctypes.CDLL(None), "malloc_trim") else -1)\n'
    )
    done = subprocess.run([sys.executable, '-c', script], cwd=TOOLS, capture_output=True, text=True, check=True)
    freed = int(done.stdout)
    assert freed == -1 or freed > 50e6


def test_failing_contestant_is_noted_and_the_others_go_on():
    rows = harness.compete('s', 'c', _metric_entries(ours={'frames': 'many'}), 1, 'sklearn')
    assert rows[0].runs == 1
    assert rows[1].runs == 0
    assert 'TypeError' in rows[1].note


def test_failing_reference_ends_the_comparison():
    with pytest.raises(harness.ContestantError, match='the reference sklearn failed: TypeError'):
        harness.compete('s', 'c', _metric_entries(reference={'frames': 'many'}), 1, 'sklearn')


def test_silent_contestant_is_ended():
    with pytest.raises(harness.ContestantError, match=r'no answer within 0\.1 s'):
        harness.Contestant('slow', 'metrics:MetricJob', dict(kind='ours', frames=10), timeout_s=0.1)


@pytest.mark.parametrize('kind', ['ours', 'ours_cp'])
@pytest.mark.parametrize('chunk_size', [None, 3])
def test_first_step_equals_plain_transformers_clip(kind, chunk_size):
    reference = step.StepJob('reference', 'tiny', frames=8, videos=2).run()
    ours = step.StepJob(kind, 'tiny', frames=8, videos=2, chunk_size=chunk_size).run()
    assert reference['loss_global'] > 0.01
    assert reference['loss_region'] > 0.01
    assert step.compare(reference, ours, 'case', kind) == []


def test_later_steps_equal_plain_transformers_clip():
    jobs = [step.StepJob(kind, 'tiny', frames=8, videos=2) for kind in ('reference', 'ours')]
    for job in jobs:
        job.optimizer.param_groups[0]['lr'] = 1e-3
        job.run()
        job.run()
    after = [{k: v.item() for k, v in job.losses().items()} for job in jobs]
    assert after[0]['loss_global'] != pytest.approx(jobs[0].run().get('loss_global', 0), abs=1e-6)
    assert after[1] == pytest.approx(after[0], abs=1e-3)


def test_differing_losses_and_gradients_are_reported():
    right = dict(loss_global=0.7, loss_region=0.5, grad_norm=3.0)
    wrong = step.compare(right, dict(loss_global=0.7, loss_region=0.5002, grad_norm=3.01), 'case', 'mine')
    assert [line.split(' is ')[0] for line in wrong] == ['case, mine: loss_region', 'case, mine: gradient norm']


def test_losses_of_zero_prove_nothing():
    losses = dict(loss_global=0.0, loss_region=0.5, grad_norm=3.0)
    assert step.compare(losses, losses, 'case', 'mine') == [
        'case, mine: loss_global of the reference is 0.000000, which proves nothing'
    ]


def test_state_bytes_are_weights_gradients_and_two_moments():
    job = step.StepJob('reference', 'tiny', frames=8)
    job.run()
    weights = sum(p.numel() for p in job.model.parameters())
    unused = sum(p.numel() for p in job.model.parameters() if p.grad is None)
    buffers = sum(b.numel() * b.element_size() for b in job.model.buffers())
    found = job.finish()['state_bytes']
    # Adam also counts its steps: one float for each tensor.
    assert found == pytest.approx(4 * (4 * weights - 3 * unused) + buffers, abs=4 * 200)


def test_batch_has_two_regions_with_boxes_and_three_texts():
    batch = plain_fgclip.make_batch('tiny', videos=1, frames=16)
    (region,) = batch['regions']
    assert region['valid'].sum(1).tolist() == [4, 4]
    assert region['valid'].any(0).sum() == 6
    assert (region['boxes'][region['valid']] > 0).all()
    assert [len(t) for t in (*batch['captions'], *region['tokens'])] == [24, 18, 20]
    assert batch['videos'].dtype == torch.uint8


@pytest.mark.parametrize('kind', ['ours', 'untrimmed'])
def test_texts_equal_transformers_at_77_positions(kind):
    reference = text.TextJob('reference', 'tiny', count=6, distinct=4).run()['embeds']
    ours = text.TextJob(kind, 'tiny', count=6, distinct=4).run()['embeds']
    assert torch.allclose(torch.tensor(reference), torch.tensor(ours), atol=1e-5)


@pytest.mark.parametrize('kind', list(loader.LOADERS.values()))
def test_loader_job_loads_what_the_config_says(tmp_path, kind):
    video = tmp_path / 'video.mp4'
    videos.write_video(video, 60, gop=12)
    loader.make_data(tmp_path / 'data', video, 2, 60)
    job = loader.LoadJob(kind, str(tmp_path / 'data'), frames=8, size=64, cache_dir=str(tmp_path / 'c'))
    assert job.run() == dict(frames=8)
    assert len(list((tmp_path / 'c').glob('*'))) == {'none': 0, 'jpeg first': 1}.get(kind, 2)


def test_unknown_section_names_the_known_ones():
    with pytest.raises(ConfigError, match="no section 'steps'. Known: decode, step, contrast, growth, text"):
        benchmark.parse_args(['steps'])


@pytest.mark.parametrize('arguments', [['--runs', '0'], ['--long-runs', '-1'], ['step', '--frames', '4']])
def test_impossible_sizes_are_refused(arguments):
    with pytest.raises(ConfigError, match='must be at least'):
        benchmark.parse_args(arguments)


@pytest.mark.slow
def test_metrics_section_writes_json(tmp_path, capsys):
    file = tmp_path / 'figures.json'
    assert benchmark.main(['metrics', '--tiny', '--json', str(file), '--cache-dir', str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert 'metrics: AUC and AP of 5,000 frames' in printed
    figures = json.loads(file.read_text())
    assert figures['versions']['torch'] == torch.__version__
    names = [row['name'] for row in figures['rows']]
    assert names == 3 * [metrics.REFERENCE, 'VADLab'] + [metrics.PLAIN, 'VADLab']
    assert set(figures['rows'][1]['wall_s']) == {'median', 'min', 'max'}


@pytest.mark.slow
def test_wrong_result_gives_exit_status_one(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(benchmark.SECTIONS, 'metrics', lambda scale, cache: harness.Report(errors=['a wrong sum']))
    assert benchmark.main(['metrics', '--tiny', '--cache-dir', str(tmp_path)]) == 1
    assert 'WRONG   a wrong sum' in capsys.readouterr().out


@pytest.mark.thorough
def test_every_section_runs(tmp_path, capsys):
    assert benchmark.main(['--tiny', '--cache-dir', str(tmp_path), '--json', str(tmp_path / 'f.json')]) == 0
    sections = {row['section'] for row in json.loads((tmp_path / 'f.json').read_text())['rows']}
    assert sections == {'frames', *benchmark.SECTIONS}


@pytest.mark.parametrize('lengths', ['ucf-crime', 'full'])
def test_vadclip_equals_the_published_structure_before_it_is_timed(lengths):
    jobs = [vadclip.VadCLIPStepJob(kind, 'tiny', videos=6, lengths=lengths) for kind in ('reference', 'ours')]
    assert jobs[0].lengths == jobs[1].lengths
    reference, ours = (job.run() for job in jobs)
    assert set(reference) == {'loss_binary', 'loss_align', 'loss_separation', 'grad_norm'}
    assert vadclip.compare(reference, ours, 'x') == []
    for (name, p), q in zip(_shared(jobs[1].model), _shared_plain(jobs[0].model), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-3, atol=1e-5, msg=lambda m, n=name: f'{n}: {m}')


def _shared(model):
    return [(name, model.get_parameter(name)) for name in ('adapter.positional_embedding', 'prompt_embedding')]


def _shared_plain(model):
    return [model.positions.weight, model.prompt_vectors.weight]


def test_vadclip_scores_equal_the_published_structure_on_videos_of_several_chunks():
    reference, ours = (vadclip.VadCLIPTestJob(kind, 'tiny', videos=5) for kind in ('reference', 'ours'))
    assert max(map(len, ours.videos)) > ours.size
    assert reference.run() == pytest.approx(ours.run(), rel=1e-5)
    with torch.no_grad():
        for feats in ours.videos:
            torch.testing.assert_close(ours.scores(feats), reference.scores(feats), rtol=1e-4, atol=1e-5)


def test_another_result_than_the_published_structures_is_an_error():
    first = dict(loss_align=1.0, grad_norm=10.0)
    assert vadclip.compare(first, dict(loss_align=1.00005, grad_norm=10.005), 'step') == []
    assert vadclip.compare(first, dict(loss_align=1.0002, grad_norm=10.0), 'step') == [
        'step: loss_align is 1.0002, the published structure says 1.0'
    ]
    assert 'grad_norm is None' in vadclip.compare(first, dict(loss_align=1.0), 'step')[0]


def test_lengths_are_those_of_ucf_crime_and_never_more_than_there_are_places():
    lengths = vadclip.make_lengths(100, 256, 'ucf-crime')
    assert min(lengths) >= 9
    assert sorted(lengths)[50] == pytest.approx(122, abs=4)
    assert sum(n == 256 for n in lengths) == pytest.approx(23, abs=3)
    assert vadclip.make_lengths(3, 32, 'full') == [32] * 3
