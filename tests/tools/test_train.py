import importlib.util
import json
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vadlab.checkpoints.checkpoint_io import read_checkpoint
from vadlab.utils.errors import CheckpointError, ConfigError, MissingDependencyError, MissingFileError

EVERY_ITERATION = ['default_hooks.checkpoint.by_epoch=False', 'default_hooks.checkpoint.interval=1']


def test_trains_and_says_where_everything_is(train, toy_file, tmp_path, capsys):
    assert train([str(toy_file), '--work-dir', str(tmp_path / 'w'), '--seed', '3']) == 0
    printed = capsys.readouterr().out
    assert f'last checkpoint  {tmp_path}/w/epoch_2.pth' in printed
    log = Path(next(line.split()[1] for line in printed.splitlines() if line.startswith('log ')))
    assert log.is_file()
    assert read_checkpoint(tmp_path / 'w' / 'epoch_2.pth')['meta']['seed'] == 3
    assert json.loads((tmp_path / 'w' / 'run.json').read_text())['state'] == 'finished'


def test_tensorboard_holds_every_series(train, toy_file, tmp_path):
    train([str(toy_file), '--work-dir', str(tmp_path / 'w')])
    events = EventAccumulator(str(next((tmp_path / 'w').glob('*/vis_data'))))
    events.Reload()
    assert {'loss', 'loss_a', 'loss_b', 'rest_lr', 'temperatures_lr', 'logit_scale', 'grad_norm'} <= set(
        events.Tags()['scalars']
    )


def test_default_work_dir_is_named_after_the_config(train, toy_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train([str(toy_file), '--cfg-options', 'max_epochs=1', 'val_interval=9'])
    assert (tmp_path / 'work_dirs' / toy_file.stem / 'epoch_1.pth').is_file()


def test_dry_run_leaves_no_files(train, toy_file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob('*'))
    assert train([str(toy_file), '--dry-run']) == 0
    assert sorted(tmp_path.rglob('*')) == before
    printed = capsys.readouterr().out
    assert 'loss_a' in printed
    assert 'val/toy/closeness' in printed


def test_dry_run_opens_no_log_that_outlives_its_folder(train, toy_file, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError('TensorBoard was opened')

    monkeypatch.setattr('mmengine.visualization.TensorboardVisBackend._init_env', refuse)
    assert train([str(toy_file), '--dry-run']) == 0


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('save_best=toy/closness', "save_best='toy/closness' is not a metric .*Did you mean 'toy/closeness'"),
        ("custom_hooks=[dict(type='EarlyStoppingHook',monitor='toy/x')]", "monitor='toy/x' is not a metric"),
        ("custom_hooks=[dict(type='EMAHook',momentum=5)]", 'momentum must be in range .*but got 5'),
        ("custom_hooks=[dict(type='EMAHook',momentum=1.0)]", 'momentum must be in range'),
        ("custom_hooks=[dict(type='EMAHook',begin_epoch=50)]", 'begin_epoch should be smaller'),
    ],
)
def test_dry_run_finds_what_training_refuses(train, toy_file, option, message):
    with pytest.raises(ConfigError, match=message):
        train([str(toy_file), '--dry-run', '--cfg-options', option])


@pytest.mark.parametrize('size', [0, -1])
def test_batch_size_below_one(train, toy_file, tmp_path, size):
    with pytest.raises(ConfigError, match=rf'train_dataloader\.batch_size must be >= 1, not {size}'):
        train([str(toy_file), '--work-dir', str(tmp_path), '--cfg-options', f'train_dataloader.batch_size={size}'])


@pytest.mark.parametrize('state', ['finished', 'unfinished'])
def test_work_dir_with_a_run_is_not_written_over(train, toy_file, tmp_path, state):
    work_dir = tmp_path / 'w'
    train([str(toy_file), '--work-dir', str(work_dir)])
    if state == 'unfinished':
        (work_dir / 'run.json').write_text('{"state": "unfinished"}')
    before = {p: p.stat().st_mtime_ns for p in work_dir.rglob('*')}
    with pytest.raises(ConfigError, match=rf'holds an? {state} run. Choose: .*--resume.*--work-dir.*--overwrite'):
        train([str(toy_file), '--work-dir', str(work_dir)])
    assert {p: p.stat().st_mtime_ns for p in work_dir.rglob('*')} == before


def test_overwrite_removes_the_old_run_only_when_the_new_one_starts(train, toy_file, tmp_path):
    work_dir = tmp_path / 'w'
    train([str(toy_file), '--work-dir', str(work_dir), '--cfg-options', 'max_epochs=3'])
    with pytest.raises(ConfigError):
        train([str(toy_file), '--work-dir', str(work_dir), '--overwrite', '--cfg-options', 'model.widh=3'])
    assert (work_dir / 'epoch_3.pth').is_file()
    train([str(toy_file), '--work-dir', str(work_dir), '--overwrite', '--cfg-options', 'max_epochs=1'])
    assert sorted(p.name for p in work_dir.glob('epoch_*')) == ['epoch_1.pth']


def test_resume_by_itself_and_by_name(train, toy_file, tmp_path):
    work_dir = tmp_path / 'w'
    train([str(toy_file), '--work-dir', str(work_dir), '--cfg-options', 'max_epochs=1'])
    train([str(toy_file), '--work-dir', str(work_dir), '--resume', '--cfg-options', 'max_epochs=2'])
    assert read_checkpoint(work_dir / 'epoch_2.pth')['meta']['iter'] == 8
    train([
        str(toy_file), '--work-dir', str(tmp_path / 'other'), '--resume', str(work_dir / 'epoch_1.pth'),
    ])  # fmt: skip
    assert read_checkpoint(tmp_path / 'other' / 'epoch_2.pth')['meta']['iter'] == 8
    assert not (tmp_path / 'other' / 'epoch_1.pth').exists()


def test_resume_where_there_is_nothing_starts_anew(train, toy_file, tmp_path, capsys):
    train([str(toy_file), '--work-dir', str(tmp_path / 'w'), '--resume'])
    assert 'Nothing to resume' in capsys.readouterr().out
    assert (tmp_path / 'w' / 'epoch_2.pth').is_file()


@pytest.mark.parametrize(
    ('arguments', 'error', 'message'),
    [
        (['--resume', 'no.pth'], MissingFileError, r'--resume no\.pth: there is no such checkpoint'),
        (['--resume', '--overwrite'], ConfigError, 'exclude each other'),
        (['--cfg-options', 'max_epoch=3'], ConfigError, "no such key. Did you mean 'max_epochs'"),
        (['--cfg-options', 'model.typ.x=3'], ConfigError, "model has no 'typ'. Did you mean 'type'"),
        (['--cfg-options', 'train_cfg=None'], ConfigError, 'cannot be trained: it sets no train_cfg'),
    ],
)
def test_mistakes_write_nothing(train, toy_file, tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        train([str(toy_file), '--work-dir', str(tmp_path / 'w'), *arguments])
    assert not (tmp_path / 'w').exists()


def test_malicious_checkpoint_to_resume_from(train, toy_file, tmp_path):
    class Trap:
        def __reduce__(self):
            return print, ('sprung',)

    torch.save({'state_dict': {}, 'meta': Trap()}, tmp_path / 'evil.pth')
    with pytest.raises(CheckpointError, match='refused'):
        train([str(toy_file), '--work-dir', str(tmp_path / 'w'), '--resume', str(tmp_path / 'evil.pth')])


def test_amp_on_a_cpu_is_float32_with_one_line(train, toy_file, tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip('has a GPU')
    train([str(toy_file), '--work-dir', str(tmp_path / 'w'), '--amp'])
    assert capsys.readouterr().out.count('no GPU here, training in float32') == 1


def test_wandb_without_its_package_names_the_command(train, toy_file, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr('importlib.util.find_spec', lambda name, *a: None if name == 'wandb' else find(name, *a))
    with pytest.raises(MissingDependencyError, match=r'pip install "vadlab\[wandb\]"'):
        train([str(toy_file), '--work-dir', str(tmp_path / 'w'), '--cfg-options', 'wandb=True'])


def test_run_that_fails_in_the_sanity_check_has_not_begun(train, toy_file, tmp_path):
    options = ['--work-dir', str(tmp_path / 'w'), '--cfg-options', 'val_evaluator.type=ToyMetrik']
    with pytest.raises(ConfigError, match="'ToyMetrik'. Did you mean 'ToyMetric'"):
        train([str(toy_file), *options])
    assert train([str(toy_file), '--work-dir', str(tmp_path / 'w')]) == 0  # no --overwrite needed


@pytest.mark.parametrize(
    ('given', 'command'),
    [
        ('a.py', 'a.py --resume'),
        ('a.py --work-dir w --overwrite --seed 1', 'a.py --work-dir w --seed 1 --resume'),
        ('a.py --resume --amp', 'a.py --amp --resume'),
        ('a.py --resume old/epoch_1.pth --amp', 'a.py --amp --resume'),
        ('a.py --resume=x.pth --cfg-options a=1 b=2', 'a.py --cfg-options a=1 b=2 --resume'),
    ],
)
def test_command_that_goes_on(load_tool, monkeypatch, given, command):
    for name in ('TORCHELASTIC_RUN_ID', 'SLURM_PROCID'):
        monkeypatch.delenv(name, raising=False)
    assert load_tool('train').resume_command(['train.py', *given.split()]) == f'python train.py {command}'


def test_command_that_goes_on_keeps_spaces(load_tool):
    found = load_tool('train').resume_command(['train.py', 'a.py', '--work-dir', 'my runs'])
    assert found.endswith("'my runs' --resume")
