import json
import re

import pytest
import torch

from vadlab.checkpoints.checkpoint_io import read_checkpoint, write_checkpoint
from vadlab.utils.errors import CheckpointError, ConfigError


@pytest.fixture
def quantize(load_tool):
    return load_tool('quantize').main


@pytest.fixture
def trained(train, clips_file, tmp_path):
    train([str(clips_file), '--work-dir', str(tmp_path / 'w')])
    return str(clips_file), str(tmp_path / 'w' / 'epoch_2.pth')


def test_prints_what_changes_and_the_result_is_tested_again(quantize, test, trained, tmp_path, capsys):
    config, checkpoint = trained
    out = tmp_path / 'int8.pth'
    assert quantize([config, checkpoint, '--out', str(out), '--work-dir', str(tmp_path / 'q')]) == 0
    printed = capsys.readouterr().out
    values = re.search(r'mean/top1 +([\d.]+) +([\d.]+) +([+-][\d.]+)', printed)
    assert values, printed
    assert re.search(r'weights +[\d.]+ MB +[\d.]+ MB +x 0\.\d\d', printed)
    assert re.search(r'model, a sample +[\d.]+ ms +[\d.]+ ms +x', printed)

    # 6 of VideoMAE's block, 4 in each of 2 x 2 blocks of MBT, 2 projections; not the heads of two classes.
    saved = read_checkpoint(out)
    assert f'{len(saved["quantization"]["layers"])} linear layers' in printed
    assert len(saved['quantization']['layers']) == 6 + 16 + 2
    assert saved['state_dict']['fusion.layers.video.0.qkv.weight_int8'].dtype == torch.int8
    assert 'heads.species.linear.weight' in saved['state_dict']

    metrics = []
    for name in (checkpoint, str(out)):
        test([config, name, '--out', str(tmp_path / 'm.json'), '--work-dir', str(tmp_path / 't')])
        metrics.append(json.loads((tmp_path / 'm.json').read_text())['metrics']['mean/top1'])
    assert [f'{value:.4f}' for value in metrics] == [values[1], values[2]]


def test_what_cannot_be_quantised(quantize, trained, tmp_path):
    config, checkpoint = trained
    with pytest.raises(ConfigError, match='must be another file than the checkpoint'):
        quantize([config, checkpoint, '--out', checkpoint])
    out = str(tmp_path / 'int8.pth')
    options = ['--out', out, '--work-dir', str(tmp_path / 'q')]
    narrow = ['--cfg-options', 'model.video_encoder.width=32', 'fusion_width=32']
    with pytest.raises(CheckpointError, match='belongs to another model'):
        quantize([config, checkpoint, *options, *narrow])
    quantize([config, checkpoint, *options])
    with pytest.raises(CheckpointError, match='is quantised already'):
        quantize([config, out, '--out', str(tmp_path / 'again.pth'), '--work-dir', str(tmp_path / 'q')])


def test_quantised_weights_are_for_their_model_and_not_for_training(quantize, train, test, trained, tmp_path):
    config, checkpoint = trained
    out = tmp_path / 'int8.pth'
    quantize([config, checkpoint, '--out', str(out), '--work-dir', str(tmp_path / 'q')])
    work = ['--work-dir', str(tmp_path / 't')]
    with pytest.raises(CheckpointError, match='this one has no linear layer encoders.video'):
        test([config, str(out), *work, '--cfg-options', 'model.video_encoder.layers=0'])
    with pytest.raises(CheckpointError, match='made by tools/quantize.py for inference; it cannot be trained'):
        train([config, *work, '--cfg-options', f'load_from={out}'])
    saved = read_checkpoint(out)
    write_checkpoint({**saved, 'quantization': {'scheme': 'int2', 'layers': []}}, out)
    with pytest.raises(CheckpointError, match="unknown scheme: 'int2'"):
        test([config, str(out), *work])
