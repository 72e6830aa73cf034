"""tools/infer.py on videos, and tools/calibrate.py, through their commands."""

import gc
import json
import os
import re
import shlex

import cv2
import numpy as np
import pytest
import torch

from tests.tools.tiny_ucf import write_video
from vadlab.apis.inferencers.vad_inferencer import VADInferencer
from vadlab.registry import MODELS
from vadlab.structures.video_result import VideoResult
from vadlab.utils.config import load_config
from vadlab.utils.errors import ConfigError, DataError
from vadlab.utils.folder_lock import lock_folder
from vadlab.utils.setup_env import register_all_modules


@pytest.fixture
def infer(load_tool):
    return load_tool('infer').main


@pytest.fixture
def calibrate(load_tool):
    return load_tool('calibrate').main


@pytest.fixture
def weights(tiny_file, tmp_path):
    torch.manual_seed(0)
    model = MODELS.build(load_config(tiny_file).model)
    torch.nn.init.normal_(model.visual_projection.weight)
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'weights.pth')
    return tmp_path / 'weights.pth'


@pytest.fixture
def folder(tiny_data):
    return tiny_data / 'Videos'


def test_scores_are_those_of_a_test(infer, test, tiny_file, weights, folder, tmp_path):
    out, report = tmp_path / 'out', tmp_path / 'metrics.json'
    command = [str(tiny_file), str(weights), str(folder), '--sampling', 'test', '--out', str(out)]
    assert infer(command) == 0
    assert test([str(tiny_file), str(weights), '--out', str(report), '--work-dir', str(tmp_path / 'work')]) == 0
    tested = np.load(tmp_path / 'metrics.npz')
    assert len(tested.files) == 3
    for name in tested.files:
        found = VideoResult.load(out / f'{name}.mp4.json')
        np.testing.assert_allclose(found.scores, tested[name], rtol=0, atol=1e-6)


def test_an_overlay_video_that_would_replace_another_file_is_a_failure(infer, tiny_file, weights, folder, tmp_path):
    (tmp_path / 'o').mkdir()
    (tmp_path / 'o' / 'Arson001.scored.mp4').write_bytes(b'not ours')
    command = [str(tiny_file), str(weights), str(folder / 'Arson001.mp4'), '--save-video', str(tmp_path / 'o')]
    assert infer(command) == 2
    assert (tmp_path / 'o' / 'Arson001.scored.mp4').read_bytes() == b'not ours'


@pytest.mark.parametrize('option', ['--report', '--save-video', '--heat-map'])
def test_folder_into_which_another_process_writes(infer, tiny_file, weights, folder, tmp_path, option):
    command = [str(tiny_file), str(weights), str(folder / 'Arson001.mp4'), option, str(tmp_path / 'o')]
    with lock_folder(tmp_path / 'o', 'other'), pytest.raises(ConfigError, match=f'^{option} {tmp_path}/o: another'):
        infer(command)
    assert infer(command) == 0


def test_events_are_printed_with_time_class_and_reason(infer, tiny_file, weights, folder, capsys):
    video = str(folder / 'Arson001.mp4')
    assert infer([str(tiny_file), str(weights), video, '--threshold', '0', '--min-s', '0.5']) == 0
    printed = capsys.readouterr()
    assert 'events: score >= 0, from and to 0, at least 0.5 s; given on the command line' in printed.out
    assert 'Arson001.mp4  0:00.8, highest score 0.' in printed.out
    assert '  0:00.0 to 0:00.8  peak 0:00.' in printed.out
    assert '      at the peak ' in printed.out
    assert 'calibrated' not in printed.err
    assert infer([str(tiny_file), str(weights), video, '--threshold', '0', '--min-s', '1']) == 0
    assert 'no events' in capsys.readouterr().out


def test_without_a_calibration_the_command_for_one_is_named(infer, tiny_file, weights, folder, capsys):
    assert infer([str(tiny_file), str(weights), str(folder / 'Arson001.mp4')]) == 0
    assert f'python tools/calibrate.py {tiny_file} {weights} FOLDER\n' in capsys.readouterr().err


def test_the_named_command_calibrates_this_run(infer, calibrate, tiny_file, weights, tmp_path, capsys):
    video, negatives = str(write_video(tmp_path / 'calm.mp4')), tmp_path / 'normal street.txt'
    negatives.write_text('an empty street\n')
    options = ['--prompt', "a man's fire", '--negative-file', str(negatives), '--sampling', '3']
    assert infer([str(tiny_file), str(weights), video, *options]) == 0
    named = shlex.split(capsys.readouterr().err.partition('tools/calibrate.py ')[2])
    assert calibrate([video if word == 'FOLDER' else word for word in named]) == 0
    capsys.readouterr()
    assert infer([str(tiny_file), str(weights), video, *options]) == 0
    assert 'not calibrated' not in capsys.readouterr().out


def test_a_calibration_is_found_and_named_by_every_command(
    infer, calibrate, test, tiny_file, weights, folder, tmp_path, capsys
):
    normal = tmp_path / 'normal'
    for i in range(3):
        write_video(normal / f'calm{i}.mp4', seed=20 + i)
    # 3 x 24 frames at 30 per second are 1/1500 of an hour: 1500 an hour allow one alarm.
    assert calibrate([str(tiny_file), str(weights), str(normal), '--false-alarms-per-hour', '1500']) == 0
    printed = capsys.readouterr().out
    path = tmp_path / 'weights.calibration.json'
    assert f'written: {path}' in printed
    assert 'footage: 3 videos, 0.001 hours' in printed
    content = json.loads(path.read_text())
    peaks, high = content['calibration']['peaks'], content['thresholds']['high']
    assert sum(peak >= high for peak in peaks) == 1
    assert high == np.nextafter(np.float32(sorted(peaks)[-2]), np.float32(1))

    assert infer([str(tiny_file), str(weights), str(normal)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r'calibrated on 0\.000\d+ hours of 3 videos without anomalies', printed)
    assert f'1500.00 false alarms an hour there ({path})' in printed
    assert printed.count('1 event\n') == 1
    assert printed.count('no events') == 2

    assert test([str(tiny_file), str(weights), '--work-dir', str(tmp_path / 'work')]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith('frame/far_calibrated'))
    assert f'score >= {high:g}' in line
    assert 'calibrated on 0.000' in line


def test_a_calibration_of_other_weights_frames_or_prompts_is_not_used(
    infer, calibrate, tiny_file, weights, tmp_path, capsys
):
    video = str(write_video(tmp_path / 'calm.mp4'))
    assert calibrate([str(tiny_file), str(weights), video]) == 0
    assert infer([str(tiny_file), str(weights), video, '--prompt', 'a fire']) == 0
    assert 'not calibrated' in capsys.readouterr().out
    assert calibrate([str(tiny_file), str(weights), video, '--prompt', 'a fire']) == 0
    capsys.readouterr()
    assert infer([str(tiny_file), str(weights), video, '--prompt', 'a fire']) == 0
    assert 'not calibrated' not in capsys.readouterr().out
    assert infer([str(tiny_file), str(weights), video, '--sampling', '3']) == 0
    assert 'not calibrated' in capsys.readouterr().out
    changed = ['--cfg-options', 'model.score_head.score_window=3']
    assert infer([str(tiny_file), str(weights), video, *changed]) == 0
    assert 'not calibrated' in capsys.readouterr().out
    state = torch.load(weights)
    state['state_dict']['logit_scale'] += 0.1
    torch.save(state, weights)
    assert infer([str(tiny_file), str(weights), video]) == 0
    assert 'not calibrated' in capsys.readouterr().out


def test_footage_with_anomalies_or_without_a_video_cannot_calibrate(calibrate, tiny_file, weights, folder, tmp_path):
    with pytest.raises(DataError, match='have the name of an anomaly'):
        calibrate([str(tiny_file), str(weights), str(folder)])
    (tmp_path / 'none').mkdir()
    with pytest.raises(DataError, match='No videos under'):
        calibrate([str(tiny_file), str(weights), str(tmp_path / 'none')])
    (tmp_path / 'none' / 'a.mp4').touch()
    with pytest.raises(DataError, match='No video can be scored; 1 failed'):
        calibrate([str(tiny_file), str(weights), str(tmp_path / 'none')])


def test_known_anomalies_do_not_calibrate(calibrate, tiny_file, weights, tmp_path, capsys):
    """The peak of a video raises the threshold, and does not once its frames are annotated as anomalous."""
    normal = tmp_path / 'normal'
    for i in range(3):
        write_video(normal / f'calm{i}.mp4', seed=20 + i)
    path, ann = tmp_path / 'weights.calibration.json', tmp_path / 'truth.txt'
    command = [str(tiny_file), str(weights), str(normal), '--low-quantile', '0']

    def high():
        return json.loads(path.read_text())['thresholds']['high']

    assert calibrate(command) == 0
    first, line = high(), next(x for x in capsys.readouterr().out.splitlines() if x.startswith('highest: '))
    name, without = re.fullmatch(r'highest: .* in (\w+)\.mp4 at .*; without .* is (.*)', line).groups()
    ann.write_text(f'{name} Theft 0 24\n')
    assert calibrate([*command, '--ann', str(ann)]) == 0
    assert high() == pytest.approx(float(without), abs=1e-6)
    assert high() < first
    assert f'without the anomalous frames of 1 videos in {ann}' in capsys.readouterr().out
    (normal / f'{name}.mp4').unlink()
    assert calibrate(command) == 0
    assert high() == pytest.approx(float(without), abs=1e-6)

    with pytest.raises(DataError, match=r'truth\.txt has none of the 2 videos \(first: calm'):
        calibrate([*command, '--ann', str(ann)])
    ann.write_text('calm0 Theft 10 100\ncalm1 Theft 10 100\ncalm2 Theft 10 100\n')
    with pytest.raises(DataError, match='the interval 10 to 100 lies outside the video, which has 24 frames'):
        calibrate([*command, '--ann', str(ann)])


def test_a_video_with_the_name_of_an_anomaly_calibrates_if_its_anomalous_frames_are_known(
    calibrate, tiny_file, weights, folder, tmp_path
):
    ann = tmp_path / 'truth.txt'
    ann.write_text('Arson001 Arson -1 -1\n')
    command = [str(tiny_file), str(weights), str(folder / 'Arson001.mp4'), '--ann', str(ann)]
    with pytest.raises(DataError, match=r'1 of 1 videos have the name of an anomaly.*--ann FILE'):
        calibrate(command)
    ann.write_text('Arson001 Arson 0 12\n')
    assert calibrate(command) == 0


def test_a_calibration_that_cannot_be_written_is_told_before_the_videos_are_scored(
    calibrate, tiny_file, weights, tmp_path, monkeypatch
):
    write_video(tmp_path / 'videos' / 'a.mp4')
    monkeypatch.setattr(VADInferencer, '__call__', lambda *rest, **options: pytest.fail('scored'))
    weights.with_suffix('.calibration.json').mkdir()
    with pytest.raises(ConfigError, match=r'is a folder\. Name a file\. It belongs beside the checkpoint: copy'):
        calibrate([str(tiny_file), str(weights), str(tmp_path / 'videos')])


def test_one_bad_file_among_the_footage_is_left_out_of_the_calibration(calibrate, tiny_file, weights, tmp_path, capsys):
    write_video(tmp_path / 'videos' / 'a.mp4')
    (tmp_path / 'videos' / 'b.mp4').symlink_to('gone.mp4')
    assert calibrate([str(tiny_file), str(weights), str(tmp_path / 'videos')]) == 2
    printed = capsys.readouterr()
    assert 'footage: 1 videos' in printed.out
    assert printed.err.startswith('left out: There is no video ')
    assert 'a link to gone.mp4' in printed.err


def test_a_line_break_in_a_name_makes_no_line_of_output(infer, tiny_file, weights, tmp_path, capsys):
    write_video(tmp_path / 'videos' / 'a\nerror: b.mp4')
    assert infer([str(tiny_file), str(weights), str(tmp_path / 'videos')]) == 0
    assert '\na\\nerror: b.mp4  0:00.8' in capsys.readouterr().out


def test_one_bad_file_gives_status_2_and_the_rest_is_scored(infer, tiny_file, weights, tmp_path, capsys):
    write_video(tmp_path / 'videos' / 'a.mp4')
    (tmp_path / 'videos' / 'b.mp4').touch()
    assert infer([str(tiny_file), str(weights), str(tmp_path / 'videos')]) == 2
    printed = capsys.readouterr()
    assert 'a.mp4  0:00.8' in printed.out
    assert 'not scored: ' in printed.err
    assert 'videos that could not be scored: 1' in printed.err


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--threshold', '2', '0.5'], 'scores are probabilities'),
        (['--threshold', '0.2', '0.5'], 'HIGH=0.2, the first number, is below LOW=0.5'),
        (['--threshold', '1', '2', '3'], 'one or two numbers'),
        (['--threshold', 'nan'], 'scores are probabilities'),
        (['--captioner', 'configs/fsgr_demo.py', 'none'], 'captions boxes. Add --boxes'),
        (['--min-s', '-1'], 'must be at least 0'),
        (['--sampling', 'all'], 'give auto, test, or N for every Nth frame'),
        (['--frames', '3'], '--frames is not an option for a detector'),
        (['--prompt', 'a fire', '--prompt', 'a fire'], "'a fire' is given twice"),
    ],
)
def test_options_that_cannot_be_used_are_an_error(infer, tiny_file, weights, folder, options, message):
    with pytest.raises(ConfigError, match=message):
        infer([str(tiny_file), str(weights), str(folder), *options])


def test_prompts_come_from_the_command_line_and_from_files(infer, tiny_file, weights, folder, tmp_path):
    (tmp_path / 'p.txt').write_text('smoke\na fire\n')
    (tmp_path / 'n.txt').write_text('a quiet street\n')
    out = tmp_path / 'out'
    options = ['--prompt', 'a dog', '--prompt-file', str(tmp_path / 'p.txt')]
    options += ['--negative-file', str(tmp_path / 'n.txt'), '--out', str(out)]
    assert infer([str(tiny_file), str(weights), str(folder / 'Arson001.mp4'), *options]) == 0
    assert VideoResult.load(out / 'Arson001.mp4.json').classes == ('Normal', 'a dog', 'smoke', 'a fire')
    assert json.loads((out / 'run.json').read_text())['prompts'] == ['a dog', 'smoke', 'a fire']


def test_a_snippet_method_scores_raw_videos_by_the_features_of_its_config(infer, load_tool, tmp_path, monkeypatch):
    """The scores are those of the method on features that tools/extract_features.py writes."""
    from tests.tools.tiny_methods import ROOT
    from vadlab.apis.inferencers import vad_inferencer
    from vadlab.apis.inferencers.snippet_scorer import SnippetScorer
    from vadlab.models.detectors.snippet_detector import SnippetDetector

    monkeypatch.chdir(ROOT)  # the demo's weights are named from there
    folder = tmp_path / 'videos'
    write_video(folder / 'a.mp4', frames=40)
    write_video(folder / 'b' / 'a.mp4', frames=20, seed=1)
    write_video(folder / 'c.mp4', frames=9, seed=2)  # shorter than a snippet
    register_all_modules()
    config = load_config('configs/mil_demo.py')
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'mil.pth')
    monkeypatch.setattr(vad_inferencer, 'FEATURE_CACHE', tmp_path / 'cache')
    inferencer = vad_inferencer.VADInferencer(config, tmp_path / 'mil.pth', feature_cache=tmp_path / 'cache')
    assert isinstance(inferencer.scorer, SnippetScorer)
    found = {result.name: result for result in inferencer(folder)}
    extract = load_tool('extract_features').main
    assert extract(['configs/features_clip_demo.py', str(folder), '--out', str(tmp_path / 'features')]) in (0, None)
    assert isinstance(inferencer.model, SnippetDetector)
    for name, frames in (('a', 40), ('b/a', 20), ('c', 9)):
        feats = torch.from_numpy(np.load(tmp_path / 'features' / f'{name}__0.npy')).float()[None]
        with torch.no_grad():
            scores = inferencer.model.score(feats, torch.ones(1, feats.shape[1], dtype=torch.bool))['scores'][0]
        result = found[f'{name}.mp4']
        assert result.error is None
        assert len(result.scores) == frames
        wanted = scores.repeat_interleave(16).numpy()
        wanted = np.pad(wanted, (0, max(frames - len(wanted), 0)), mode='edge')[:frames]
        np.testing.assert_allclose(result.scores, wanted, atol=2e-3)
    made = sorted(path.stat().st_mtime_ns for path in (tmp_path / 'cache').rglob('*.npy'))
    list(inferencer(folder))
    assert sorted(path.stat().st_mtime_ns for path in (tmp_path / 'cache').rglob('*.npy')) == made


def test_features_that_cannot_be_kept_are_temporary(tmp_path, monkeypatch):
    """In a folder that cannot be written, a video is scored as elsewhere, with one warning."""
    from tests.tools.tiny_methods import ROOT
    from vadlab.apis.inferencers import snippet_scorer
    from vadlab.apis.inferencers.vad_inferencer import VADInferencer

    monkeypatch.chdir(ROOT)
    video = write_video(tmp_path / 'a.mp4', frames=40)
    (wanted,) = VADInferencer('configs/zero_shot_clip_demo.py', feature_cache=tmp_path / 'cache')(video)
    inferencer = VADInferencer('configs/zero_shot_clip_demo.py', feature_cache=tmp_path / 'read_only')
    warnings = []
    monkeypatch.setattr(snippet_scorer, 'print_log', lambda text, *_: warnings.append(text))
    access = os.access  # root may write everywhere
    monkeypatch.setattr(os, 'access', lambda path, mode: 'read_only' not in str(path) and access(path, mode))
    (result,) = inferencer(video)
    assert result.error is None
    np.testing.assert_array_equal(result.scores, wanted.scores)
    assert not list((tmp_path / 'read_only').rglob('*.npy'))
    assert len(warnings) == 1
    assert 'Features of these videos are not kept for the next run' in warnings[0]
    assert 'read_only' in warnings[0]
    folder = inferencer.scorer.folder
    assert folder.is_dir()
    del inferencer
    gc.collect()
    assert not folder.exists()


@pytest.mark.parametrize(('name', 'refuses'), [('urdmu_demo', True), ('vadclip_demo', False)])
def test_a_video_that_is_too_long_for_attention_over_all_snippets_is_refused(
    folder, tmp_path, monkeypatch, name, refuses
):
    from tests.tools.tiny_methods import ROOT
    from vadlab.apis.inferencers.vad_inferencer import VADInferencer

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr('vadlab.apis.inferencers.snippet_scorer._MOST_SNIPPETS', 1)
    register_all_modules()
    config = load_config(f'configs/{name}.py')
    torch.save({'state_dict': MODELS.build(config.model).state_dict()}, tmp_path / 'w.pth')
    video = write_video(tmp_path / 'a.mp4', frames=40)
    (result,) = VADInferencer(config, tmp_path / 'w.pth', feature_cache=tmp_path / 'cache')(video)
    if refuses:
        assert 'a.mp4: 2 snippets. In URDMU each of them attends to all others, so at most 1' in result.error
    else:
        assert result.error is None


def test_zero_shot_logs_nothing(folder, tmp_path, monkeypatch, capfd):
    from tests.tools.tiny_methods import ROOT
    from vadlab.apis.inferencers.vad_inferencer import VADInferencer

    monkeypatch.chdir(ROOT)
    zero_shot = VADInferencer('configs/zero_shot_clip_demo.py', feature_cache=tmp_path)
    (result,) = zero_shot(folder / 'Arson001.mp4')
    assert result.error is None
    assert capfd.readouterr() == ('', '')


def test_sampling_is_refused_where_it_has_no_meaning(tmp_path, monkeypatch):
    from tests.tools.tiny_methods import ROOT
    from vadlab.apis import load_model

    monkeypatch.chdir(ROOT)
    register_all_modules()
    config = load_config('configs/mil_demo.py')
    torch.save({'state_dict': MODELS.build(config.model).state_dict()}, tmp_path / 'mil.pth')
    with pytest.raises(ConfigError, match='MILRanking does not embed frame by frame'):
        load_model('configs/mil_demo.py', tmp_path / 'mil.pth', sampling=8)
    with pytest.raises(
        ConfigError,
        match='MILRanking does not compare videos with texts .* VadCLIP, ZeroShotCLIP',
    ):
        load_model('configs/mil_demo.py', tmp_path / 'mil.pth').use_prompts(['a fire'])
    other = tmp_path / 'other.py'
    other.write_text("_base_ = ['vadlab::features_clip_demo.py']\npretrained = None\nembed_dim = 32\n")
    with pytest.raises(ConfigError, match=r'takes features of 64 channels; .*other\.py makes 32'):
        load_model('configs/mil_demo.py', tmp_path / 'mil.pth', feature_config=str(other))


def test_zero_shot_clip_takes_prompts_for_raw_videos(tmp_path, monkeypatch):
    """With the small CLIP that ships with VADLab; nothing is trained, so no checkpoint is needed."""
    from tests.tools.tiny_methods import ROOT
    from vadlab.apis import load_model

    monkeypatch.chdir(ROOT)
    video = write_video(tmp_path / 'a.mp4', frames=40)
    model = load_model('configs/zero_shot_clip_demo.py', feature_cache=tmp_path / 'cache')
    (plain,) = model(video)
    (found,) = model(video, prompts=['a fire'], negatives=['an empty street'])
    assert found.classes == ('Normal', 'a fire')
    assert found.frame_inds.tolist() == [8, 24]
    np.testing.assert_allclose(found.class_scores[:, 1], found.scores[found.frame_inds], atol=1e-5)
    assert not np.allclose(plain.scores, found.scores)


def test_boxes_and_heat_maps_of_events_are_written(infer, tiny_file, weights, folder, tmp_path, capsys):
    out, heat = tmp_path / 'out', tmp_path / 'heat'
    command = [str(tiny_file), str(weights), str(folder / 'Arson001.mp4'), '--threshold', '0', '--out', str(out)]
    assert infer([*command, '--boxes', '--heat-map', str(heat)]) == 0
    boxes = VideoResult.load(out / 'Arson001.mp4.json').boxes
    count = f'{len(boxes.scores)} on {len(np.unique(boxes.frame_inds))} frames' if len(boxes.scores) else 'none found'
    assert f'  boxes: {count}\n' in capsys.readouterr().out
    assert [path.name for path in heat.iterdir()] == ['Arson001.mp4.0.png']
    assert cv2.imread(str(heat / 'Arson001.mp4.0.png')).shape == (48, 64, 3)


@pytest.mark.parametrize(('out', 'report'), [('a', 'a'), ('a', 'a/report'), ('a/results', 'a')])
def test_a_report_inside_the_folder_of_the_results_is_an_error(
    infer, tiny_file, weights, folder, tmp_path, out, report
):
    options = ['--out', str(tmp_path / out), '--report', str(tmp_path / report)]
    with pytest.raises(ConfigError, match='name two folders, side by side'):
        infer([str(tiny_file), str(weights), str(folder), *options])
    assert not list((tmp_path).rglob('*.html'))


@pytest.mark.parametrize('option', ['--out', '--report', '--save-video'])
def test_a_file_in_the_place_of_a_folder_is_an_error(infer, tiny_file, weights, folder, option):
    with pytest.raises(ConfigError, match=rf'{option} .* is a file\. Name a folder'):
        infer([str(tiny_file), str(weights), str(folder), option, str(tiny_file)])
