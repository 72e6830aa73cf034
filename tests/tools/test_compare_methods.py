import json
import subprocess
import sys

import pytest

from vadlab.apis import method_runs
from vadlab.utils.errors import ConfigError, TrainingError

from .conftest import ROOT
from .tiny_features import write_config, write_data


@pytest.fixture
def compare(load_tool, train, test, monkeypatch):
    """The tool with its training and testing done in this process, and the calls that it makes."""
    tool = load_tool('compare_methods')
    calls = []

    def call(name, arguments, folder):
        calls.append((name, arguments))
        {'train.py': train, 'test.py': test}[name](arguments)

    monkeypatch.setattr(method_runs, 'call_tool', call)
    return tool.main, calls


@pytest.fixture
def experiments(tmp_path):
    data = write_data(tmp_path / 'data')
    return [str(write_config(method, tmp_path, ROOT, data)) for method in ('mil', 'rtfm')]


def test_methods_are_trained_and_tested_once_and_tabulated(compare, experiments, tmp_path, capsys):
    main, calls = compare
    out = tmp_path / 'out'
    arguments = [experiments[0], '--seeds', '0', '3', '--blank', '--out', str(out)]
    assert main(arguments) == 0
    assert [name for name, _ in calls] == ['train.py', 'test.py'] * 4
    assert (calls[2][1].index('--seed'), calls[2][1][calls[2][1].index('--seed') + 1]) == (4, '3')
    assert 'feature_dir=blank' in calls[4][1]
    assert calls[1][1][1].endswith('seed0/epoch_2.pth')  # the last one, whatever was best

    numbers = json.loads((out / 'results.json').read_text())
    assert numbers['seeds'] == [0, 3]
    (method,) = numbers['methods']
    aucs = [metrics['frame/auc'] for metrics in method['metrics']]
    assert [metrics['frame/auc'] for metrics in method['blanked']] == [0.5, 0.5]
    table = (out / 'table.md').read_text()
    assert f'| MILRanking | {sum(aucs) / 2:.4f} ± ' in table
    assert '0.5000 ± 0.0000 |' in table
    assert table in capsys.readouterr().out
    assert (out / 'bars.png').stat().st_size > 1000

    # A method more: only it is run.
    calls.clear()
    assert main([*experiments, '--seeds', '0', '--out', str(out)]) == 0
    assert [name for name, _ in calls] == ['train.py', 'test.py']
    assert all(arguments[0] == experiments[1] for _, arguments in calls)
    assert '| RTFM |' in (out / 'table.md').read_text()


def test_an_interrupted_comparison_goes_on(compare, experiments, tmp_path, monkeypatch):
    main, calls = compare
    arguments = [experiments[0], '--seeds', '0', '--out', str(tmp_path / 'out')]
    main(arguments)
    (tmp_path / 'out' / 'tiny_mil' / 'seed0' / 'metrics.json').unlink()  # as if killed while testing
    calls.clear()
    main(arguments)
    assert [name for name, _ in calls] == ['test.py']


def test_results_of_other_settings_are_not_mixed_in(compare, experiments, tmp_path):
    main, _ = compare
    arguments = [experiments[0], '--seeds', '0', '--out', str(tmp_path / 'out')]
    main(arguments)
    with pytest.raises(ConfigError, match=r'seed0 was started with other settings.*\n.*lr: 0\.01 -> 0\.1'):
        main([*arguments, '--cfg-options', 'lr=0.1'])


def test_what_is_not_trained_is_tested_once(compare, experiments, tmp_path):
    main, calls = compare
    floor = tmp_path / 'floor.py'
    floor.write_text(f"_base_ = ['{experiments[0]}']\ntrain_cfg = None\n")
    # A network without training or pretrained weights is not a lower bound, and the test tool says so.
    with pytest.raises(ConfigError, match=r'no model\.pretrained'):
        main([str(floor), '--seeds', '0', '1', '--out', str(tmp_path / 'out')])
    ((name, arguments),) = calls
    assert name == 'test.py'
    assert arguments[1] == 'none'


def test_a_failing_run_shows_the_end_of_what_it_said(load_tool, experiments, tmp_path):
    tool = load_tool('compare_methods')
    (tmp_path / 'data' / 'train.txt').unlink()
    with pytest.raises(TrainingError, match=r'(?s)train\.py.*failed with status 2.*train\.out.*train\.txt'):
        tool.main([experiments[0], '--seeds', '0', '--out', str(tmp_path / 'out')])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['a/x.py', 'b/x.py', '--out', 'o'], 'Two configs are called x'),
        (['x.py', '--seeds', '1', '1', '--out', 'o'], '--seeds must differ'),
        (['x.py', '--jobs', '0', '--out', 'o'], '--jobs must be at least 1'),
    ],
)
def test_mistakes_on_the_command_line(load_tool, arguments, message):
    with pytest.raises(ConfigError, match=message):
        load_tool('compare_methods').main(arguments)


@pytest.mark.slow
def test_as_a_command(experiments, tmp_path):
    command = [sys.executable, 'tools/compare_methods.py', experiments[0], '--seeds', '0']
    done = subprocess.run(
        [*command, '--out', str(tmp_path / 'out')], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert '| MILRanking |' in done.stdout


def test_an_untrained_config_does_without_options_of_training(load_tool, capsys):
    options_for = load_tool('compare_methods').options_for
    floor, trained = (str(ROOT / f'configs/{name}_demo.py') for name in ('zero_shot_clip', 'mil'))
    options = ['max_epochs=1', 'ap_mode=step']
    assert options_for(floor, options, [floor, trained]) == ['ap_mode=step']
    assert 'zero_shot_clip_demo.py is not trained and has no setting max_epochs' in capsys.readouterr().out
    assert options_for(trained, options, [floor, trained]) == options
    with pytest.raises(ConfigError, match='mil_demo.py: --cfg-options max_epoch: no such key'):
        options_for(trained, ['max_epoch=1'], [floor, trained])
    with pytest.raises(ConfigError, match='zero_shot_clip_demo.py: --cfg-options max_epochs: no such key'):
        options_for(floor, options, [floor])
