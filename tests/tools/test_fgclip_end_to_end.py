"""FG-CLIP on tiny videos through the tools, and every mistake of data and options that ends a run."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from vadlab.checkpoints.checkpoint_io import read_checkpoint
from vadlab.utils.errors import CheckpointError, ConfigError, DataError, MissingFileError

ROOT = Path(__file__).parents[2]


def test_train_resume_test(train, test, tiny_file, tmp_path, capsys):
    work_dir = tmp_path / 'w'
    train([str(tiny_file), '--work-dir', str(work_dir)])
    first = read_checkpoint(work_dir / 'epoch_1.pth')
    train([str(tiny_file), '--work-dir', str(work_dir), '--resume', '--cfg-options', 'max_epochs=2'])
    second = read_checkpoint(work_dir / 'epoch_2.pth')
    # the queue went on from where it was: 3 regions an epoch, 2 optimizer steps an epoch
    assert first['state_dict']['queue_region.counters'].tolist() == [3, 2]
    assert second['state_dict']['queue_region.counters'].tolist() == [6, 4]

    out = tmp_path / 'metrics.json'
    test([str(tiny_file), str(work_dir / 'epoch_2.pth'), '--out', str(out), '--work-dir', str(tmp_path / 't')])
    report = json.loads(out.read_text())
    assert {'frame/auc', 'frame/ap', 'video/auc', 'region/r@1', 'space/grounding_acc@0.5'} <= set(report['metrics'])
    assert {'space/grounding_miou', 'space/miou', 'space/tiou'} <= set(report['metrics'])
    assert 0 <= report['metrics']['frame/auc'] <= 1
    assert set(report['protocol']) >= {'frame/auc', 'region/r@1'}
    scores = np.load(tmp_path / 'metrics.npz')
    assert scores['Arson002'].shape == (24,)
    log = capsys.readouterr().out
    for name in (
        'loss_global',
        'loss_region',
        'vision_lr',
        'logit_scale_finegrained',
        'queue_region_fill',
        'grad_norm',
    ):
        assert f'{name}:' in log, name


def test_pictures(train, test, tiny_file, tmp_path):
    train([str(tiny_file), '--work-dir', str(tmp_path / 'w')])
    checkpoint = str(tmp_path / 'w' / 'epoch_1.pth')
    test([str(tiny_file), checkpoint, '--show-dir', str(tmp_path / 'show'), '--work-dir', str(tmp_path / 't')])
    names = [p.name for p in (tmp_path / 'show').rglob('*.png')]
    assert len(names) == 3
    assert any('Arson002' in name for name in names)


def test_dry_run_leaves_no_files(train, tiny_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob('*'))
    train([str(tiny_file), '--dry-run', '--cfg-options', f'cache_dir={tmp_path}/cache'])
    assert sorted(tmp_path.rglob('*')) == before


def test_diagnostics_are_logged(train, tiny_file, tmp_path, capsys):
    train([str(tiny_file), '--work-dir', str(tmp_path / 'w'), '--cfg-options', 'diagnostics=True'])
    log = capsys.readouterr().out
    for name in (
        'global/positives_mean',
        'region/norm_near_zero',
        'queue_region/fill',
        'grad/visual_projection.weight',
    ):
        assert f'{name}:' in log, name
    # no caption is long, so the long path learns nothing, and the hook says so
    assert 'no gradient reached' in log
    assert 'text_filip_projection.weight' in log


def test_accumulated_batches_are_one_step(train, tiny_file, tmp_path):
    options = ['accumulative_counts=2', 'max_epochs=3']
    train([str(tiny_file), '--work-dir', str(tmp_path / 'w'), '--cfg-options', *options])
    checkpoint = read_checkpoint(tmp_path / 'w' / 'epoch_3.pth')
    assert checkpoint['meta']['iter'] == 6
    assert checkpoint['state_dict']['queue_region.counters'][1] == 3


def test_gradient_cache_trains_and_resumes_bit_for_bit(train, tiny_file, tmp_path, capsys):
    options = ['contrast_batch=2', 'chunk=1', 'max_epochs=2', 'accumulative_counts=2', 'model.queue_global=True']
    options += ['default_hooks.checkpoint.by_epoch=False', 'checkpoint_interval=1', 'max_keep_ckpts=9']
    arguments = [str(tiny_file), '--cfg-options', *options]
    train([*arguments, '--work-dir', str(tmp_path / 'straight')])
    assert 'video_negatives: 3' in capsys.readouterr().out  # one of the batch, and two of the queue
    (tmp_path / 'resumed').mkdir()
    shutil.copy(tmp_path / 'straight' / 'iter_1.pth', tmp_path / 'resumed')  # inside of an accumulated step
    train([*arguments, '--work-dir', str(tmp_path / 'resumed'), '--resume', str(tmp_path / 'resumed' / 'iter_1.pth')])
    ends = [read_checkpoint(tmp_path / name / 'iter_4.pth')['state_dict'] for name in ('straight', 'resumed')]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_both_layouts_train_alike(train, tiny_file, tiny_data, tmp_path):
    records = json.loads((tiny_data / 'train.json').read_text())
    by_name = {Path(r['f_path']).stem: r for r in records}
    (tiny_data / 'dict.json').write_text(json.dumps(by_name))
    weights = []
    for name in ('train.json', 'dict.json'):
        train([str(tiny_file), '--work-dir', str(tmp_path / name), '--cfg-options', f'ann_file={name}'])
        weights.append(read_checkpoint(tmp_path / name / 'epoch_1.pth')['state_dict'])
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])


# ---- what ends a run ------------------------------------------------------------------------------------------------


def spoil_nothing(data):
    pass


def remove_two(data):
    for name in ('Arson001.mp4', 'Fighting001.mp4'):
        (data / 'Videos' / name).unlink()


def truncate(data):
    path = data / 'Videos' / 'Arson001.mp4'
    path.write_bytes(path.read_bytes()[:900])


def text_for_video(data):
    (data / 'Videos' / 'Arson001.mp4').write_text('no video')


def empty_video(data):
    (data / 'Videos' / 'Arson001.mp4').write_bytes(b'')


def pixel_boxes(data):
    records = json.loads((data / 'train.json').read_text())
    for r in records:
        for region in r['bbox_info']:
            for keyframe in region['keyframes']:
                keyframe['bbox'] = [10, 20, 30, 40]
    (data / 'train.json').write_text(json.dumps(records))


MISTAKES = [
    (spoil_nothing, ['data_root=/nowhere'], MissingFileError, 'no folder /nowhere'),
    (spoil_nothing, ['ann_file=trai.json'], MissingFileError, r'trai\.json not found'),
    (
        remove_two,
        [],
        MissingFileError,
        r'2 of 4 videos not found.*Fighting001\.mp4, Arson001\.mp4',
    ),
    (truncate, [], DataError, 'Arson001'),
    (text_for_video, [], DataError, 'Arson001'),
    (empty_video, [], DataError, 'Arson001'),
    (pixel_boxes, [], DataError, 'in pixels'),
    (spoil_nothing, ['caption_type=longest'], ConfigError, "no caption_type 'longest'"),
    (spoil_nothing, ['num_frame=8'], ConfigError, "no such key. Did you mean 'num_frames'"),
    (spoil_nothing, ['model.quue.size=8'], ConfigError, "model has no 'quue'. Did you mean 'queue'"),
    (spoil_nothing, ['model.vision.layer=8'], ConfigError, "CLIPVisionTransformer takes no option 'layer'. .*'layers'"),
    (spoil_nothing, ['batch_size=1', 'model.queue=None'], ConfigError, 'no queue'),
    (spoil_nothing, ['contrast_batch=5', 'chunk=2'], ConfigError, 'contrast_batch=5 is not a multiple of chunk=2'),
    (spoil_nothing, ['contrast_batch=2', 'chunk=4'], ConfigError, 'chunk=4 is larger than contrast_batch=2'),
    (spoil_nothing, ['contrast_batch=0'], ConfigError, 'contrast_batch must be >= 1'),
    (spoil_nothing, ['pretrained=/nowhere/clip.safetensors'], MissingFileError, 'nowhere'),
]


@pytest.mark.parametrize(('spoil', 'options', 'error', 'message'), MISTAKES)
def test_mistakes_end_the_run_before_it_begins(train, tiny_file, tiny_data, tmp_path, spoil, options, error, message):
    spoil(tiny_data)
    with pytest.raises(error, match=message):
        train([str(tiny_file), '--work-dir', str(tmp_path / 'w'), *(['--cfg-options', *options] if options else [])])
    assert not list((tmp_path / 'w').glob('*.pth'))
    assert not (tmp_path / 'w' / 'run.json').exists()
    if error is not DataError:  # whose log may list more than the message
        assert not (tmp_path / 'w').exists()


def test_missing_vocabulary_file(train, tiny_file, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr('importlib.util.find_spec', lambda n, *a: None if n == 'open_clip' else find(n, *a))
    with pytest.raises(MissingFileError, match='pip install --no-deps open_clip_torch'):
        train([str(tiny_file), '--work-dir', str(tmp_path / 'w')])


def test_checkpoint_of_another_model(train, test, tiny_file, tmp_path):
    train([str(tiny_file), '--work-dir', str(tmp_path / 'w')])
    with pytest.raises(CheckpointError, match=r'another model.*visual_projection\.weight \(8, 16\)'):
        test([str(tiny_file), str(tmp_path / 'w' / 'epoch_1.pth'), '--cfg-options', 'model.embed_dim=4'])


@pytest.mark.parametrize('spoil', [truncate, text_for_video, empty_video])
def test_damaged_videos_within_the_limit_are_named_and_skipped(train, tiny_file, tiny_data, tmp_path, capsys, spoil):
    spoil(tiny_data)
    train([str(tiny_file), '--work-dir', str(tmp_path / 'w'), '--cfg-options', 'max_bad_videos=1'])
    assert 'Arson001 is damaged and is skipped' in capsys.readouterr().out
    assert (tmp_path / 'w' / 'epoch_1.pth').exists()


def test_boxes_and_frames_that_can_be_mended_are_counted(train, tiny_file, tiny_data, tmp_path, capsys):
    records = json.loads((tiny_data / 'train.json').read_text())
    keyframes = records[0]['bbox_info'][0]['keyframes']
    keyframes[0]['bbox'] = [-0.2, 0.2, 0.4, 1.3]
    keyframes.append({'frame': 10, 'bbox': [0.6, 0.2, 0.4, 0.3], 'enabled': True})
    keyframes.append({'frame': 12, 'bbox': [0.6, 0.2, 0.6, 0.3], 'enabled': True})
    records[1]['bbox_info'][0]['end_frame'] = 400
    (tiny_data / 'train.json').write_text(json.dumps(records))
    train([str(tiny_file), '--work-dir', str(tmp_path / 'w')])
    log = capsys.readouterr().out
    assert '1 boxes clipped, 1 inverted boxes removed, 1 empty boxes removed' in log
    assert 'end_frame of 1 regions clipped' in log


# ---- as processes ---------------------------------------------------------------------------------------------------


def command(tool, *arguments):
    return [sys.executable, str(ROOT / 'tools' / f'{tool}.py'), *map(str, arguments)]


@pytest.mark.slow
def test_mistake_is_one_message_and_status_2(tiny_file, tmp_path):
    done = subprocess.run(
        command('train', tiny_file, '--work-dir', tmp_path / 'w', '--cfg-options', 'data_root=/nowhere'),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.strip().startswith('error: data_root: there is no folder /nowhere')
    assert 'Traceback' not in done.stdout + done.stderr


@pytest.mark.slow
def test_killed_run_resumes(tiny_file, tmp_path):
    options = ['--cfg-options', 'max_epochs=500', 'val_interval=1000', 'tensorboard=False']
    run = subprocess.Popen(
        command('train', tiny_file, '--work-dir', tmp_path / 'w', *options),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while not (tmp_path / 'w' / 'last_checkpoint').exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    run.send_signal(signal.SIGKILL)
    run.wait()
    again = subprocess.run(
        command('train', tiny_file, '--work-dir', tmp_path / 'w', *options), capture_output=True, text=True, check=False
    )
    assert again.returncode == 2
    assert 'holds an unfinished run' in again.stderr
    pointer = (tmp_path / 'w' / 'last_checkpoint').read_text()
    epoch = read_checkpoint(tmp_path / 'w' / pointer)['meta']['epoch']
    options[1] = f'max_epochs={epoch + 1}'
    resumed = subprocess.run(
        command('train', tiny_file, '--work-dir', tmp_path / 'w', '--resume', *options),
        capture_output=True,
        text=True,
        check=False,
    )
    assert resumed.returncode == 0, resumed.stderr
    assert (tmp_path / 'w' / f'epoch_{epoch + 1}.pth').exists()


@pytest.mark.slow
def test_two_ranks_over_gloo(tiny_file, tmp_path):
    launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    arguments = ['--work-dir', tmp_path / 'w', '--launcher', 'pytorch']
    done = subprocess.run(
        [*launch, *command('train', tiny_file, *arguments)[1:]],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''},
    )
    assert done.returncode == 0, done.stderr
    checkpoint = read_checkpoint(tmp_path / 'w' / 'epoch_1.pth')
    assert checkpoint['meta']['iter'] == 1  # four videos, two a rank
    assert checkpoint['state_dict']['queue_region.counters'].tolist() == [3, 1]  # gathered over both ranks
