"""Options of commands that score videos; expected values are written by hand."""

import argparse

import pytest

from tools import calibrate, infer, serve, watch
from vadlab.apis.deployment import run_exported
from vadlab.structures.video_result import Thresholds
from vadlab.utils.errors import ConfigError
from vadlab.utils.model_arguments import calibrate_command
from vadlab.utils.scoring_arguments import add_threshold_arguments, check_caption_frames, given_thresholds

MODEL = ['c.py', 'w.pth']
PARSERS = {
    'infer': lambda options: infer.parse_args([*MODEL, 'a.mp4', *options]),
    'watch': lambda options: watch.parse_args([*MODEL, *options]),
    'run.py': lambda options: run_exported.parse_args(['a.mp4', *options]),
    'serve': lambda options: serve.parse_args([*MODEL, *options]),
    'calibrate': lambda options: calibrate.parse_args([*MODEL, 'a.mp4', *options]),
}


@pytest.mark.parametrize('command', ['infer', 'watch', 'run.py'])
@pytest.mark.parametrize(
    ('options', 'given'),
    [
        ([], {}),
        (['--threshold', '0.75'], {'high': 0.75, 'low': 0.75}),
        (['--threshold', '0.75', '0.5', '--gap-s', '0'], {'high': 0.75, 'low': 0.5, 'gap_s': 0.0}),
        (['--min-s', '2'], {'min_s': 2.0}),
    ],
)
def test_each_command_reads_the_thresholds(command, options, given):
    assert given_thresholds(PARSERS[command](options)) == given


@pytest.mark.parametrize('command', ['infer', 'watch', 'serve', 'calibrate'])
def test_each_command_reads_the_prompts(command):
    options = ['--prompt', 'a', '--prompt', 'b', '--negative', 'c', '--prompt-file', 'd', '--negative-file', 'e']
    args = PARSERS[command](options)
    assert (args.prompt, args.negative, args.prompt_file, args.negative_file) == (['a', 'b'], ['c'], 'd', 'e')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--threshold', '1', '2', '3'], 'one or two numbers'),
        (['--threshold', '0.2', '0.5'], 'HIGH=0.2, the first number, is below LOW=0.5'),
        (['--threshold', '2', '0.5'], 'scores are probabilities'),
        (['--threshold', 'nan'], 'scores are probabilities'),
        (['--min-s', 'nan'], '--min-s and --gap-s must be at least 0, and below 1,000,000'),
        (['--gap-s', 'inf'], '--min-s and --gap-s must be at least 0, and below 1,000,000'),
        (['--gap-s=-1'], '--min-s and --gap-s must be at least 0'),
    ],
)
def test_wrong_thresholds_get_one_message(options, message):
    parser = argparse.ArgumentParser()
    add_threshold_arguments(parser)
    with pytest.raises(ConfigError, match=message):
        given_thresholds(parser.parse_args(options))


def test_given_values_replace_calibrated_ones_and_their_rate():
    calibrated = Thresholds(0.75, 0.5, 1.0, 2.0, 'calibrated', 0.25)
    assert calibrated.changed({}) is calibrated
    assert calibrated.changed({'gap_s': 3.0}) == Thresholds(0.75, 0.5, 1.0, 3.0, 'calibrated', None)
    given = Thresholds(0.875, 0.5, 1.0, 2.0, 'given on the command line', None)
    assert calibrated.changed({'high': 0.875}) == given


def test_the_calibration_of_a_watched_run_has_its_prompts_and_backend():
    args = PARSERS['watch'](['--prompt', 'a fall', '--backend', 'onnxruntime', '--threshold', '0.5'])
    assert calibrate_command(args) == (
        "python tools/calibrate.py c.py w.pth FOLDER --prompt 'a fall' --backend onnxruntime"
    )


@pytest.mark.parametrize('every_s', [0, 0.0009, float('nan'), float('inf'), -1])
def test_captioned_frames(every_s):
    with pytest.raises(ConfigError, match=rf'--every \(every_s\) must be at least 0.001 seconds, not {every_s:g}'):
        check_caption_frames(every_s, None)
    with pytest.raises(ConfigError, match=r'--frames \(num_frames\) must be at least 1, not 0'):
        check_caption_frames(0.001, 0)
    check_caption_frames(0.001, 1)
