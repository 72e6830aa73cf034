import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from vadlab.registry import MODELS
from vadlab.utils.config import load_config
from vadlab.utils.errors import CheckpointError, ConfigError, MissingFileError
from vadlab.utils.folder_lock import lock_folder
from vadlab.utils.printable import OutputClosed
from vadlab.utils.setup_env import register_all_modules

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.fixture
def trained(train, toy_file, tmp_path):
    train([str(toy_file), '--work-dir', str(tmp_path / 'w'), '--cfg-options', 'tensorboard=False'])
    return toy_file, tmp_path / 'w' / 'epoch_2.pth'


@pytest.mark.parametrize('option', ['--show-dir', '--report'])
def test_folder_into_which_another_process_writes(test, trained, tmp_path, option):
    config, checkpoint = trained
    out = tmp_path / 'out'
    with lock_folder(out, 'other'), pytest.raises(ConfigError, match=f'^{option} {out}: another process writes there'):
        test([str(config), str(checkpoint), '--work-dir', str(tmp_path / 't'), option, str(out)])
    assert not list(out.iterdir())


def test_report_holds_what_others_rely_on(test, trained, tmp_path, capsys):
    config, checkpoint = trained
    out = tmp_path / 'out' / 'metrics.json'
    assert test([str(config), str(checkpoint), '--out', str(out), '--work-dir', str(tmp_path / 't')]) == 0
    report = json.loads(out.read_text())
    assert set(report) >= {'metrics', 'protocol', 'config', 'checkpoint', 'versions'}
    assert 0 < report['metrics']['toy/closeness'] < 1
    assert report['protocol'] == {'toy/closeness': 'one over one plus the mean logit'}
    assert (report['config'], report['checkpoint']) == (str(config), str(checkpoint))
    assert {'vadlab', 'torch', 'mmengine'} <= set(report['versions'])

    scores = np.load(tmp_path / 'out' / 'metrics.npz')
    assert sorted(scores) == ['video000', 'video001', 'video002']
    assert scores['video000'].shape == (5,)
    assert scores['video000'].dtype == np.float64

    printed = capsys.readouterr().out
    assert f'toy/closeness  {report["metrics"]["toy/closeness"]:.4f}  one over one plus the mean logit' in printed


def test_metrics_are_written_although_nobody_reads_the_output(test, trained, tmp_path, monkeypatch):
    def gone(*_, **__):
        raise OutputClosed

    config, checkpoint = trained
    monkeypatch.setitem(test.__globals__, 'say', gone)
    with pytest.raises(OutputClosed):
        test([str(config), str(checkpoint), '--out', str(tmp_path / 'metrics.json'), '--work-dir', str(tmp_path / 't')])
    assert json.loads((tmp_path / 'metrics.json').read_text())['metrics']


def test_same_seed_same_numbers(test, trained, tmp_path):
    config, checkpoint = trained
    reports = []
    for name in ('a', 'b'):
        out = tmp_path / f'{name}.json'
        test([str(config), str(checkpoint), '--out', str(out), '--seed', '5', '--work-dir', str(tmp_path / name)])
        reports.append(json.loads(out.read_text())['metrics'])
    assert reports[0] == reports[1]


def test_a_tested_folder_may_be_trained_in(test, train, trained, tmp_path):
    config, checkpoint = trained
    test([str(config), str(checkpoint), '--work-dir', str(tmp_path / 't')])
    assert train([str(config), '--work-dir', str(tmp_path / 't')]) == 0


def test_checkpoint_of_another_model(test, trained):
    config, checkpoint = trained
    with pytest.raises(CheckpointError, match='belongs to another model'):
        test([str(config), str(checkpoint), '--cfg-options', 'width=7'])


@pytest.mark.parametrize(
    ('arguments', 'error', 'message'),
    [
        (['no.pth'], MissingFileError, r'Checkpoint no\.pth not found'),
        (['no.pth', '--out', 'x.txt'], ConfigError, r'must end with \.json'),
        (['none'], ConfigError, 'no model.pretrained: without a checkpoint its weights would be random'),
        ([__file__, '--cfg-options', 'test_cfg=None'], ConfigError, 'cannot be tested: it sets no test_cfg'),
    ],
)
def test_mistakes(test, toy_file, arguments, error, message):
    with pytest.raises(error, match=message):
        test([str(toy_file), *arguments])


def test_metric_that_is_not_defined_is_null(load_tool, tmp_path):
    write_report = load_tool('test').write_report
    write_report(str(tmp_path / 'm.json'), {'frame/auc': float('nan')}, {}, 'config', 'checkpoint', Config({}))
    assert json.loads((tmp_path / 'm.json').read_text())['metrics'] == {'frame/auc': None}


def test_config_beside_the_training_is_not_written_over(test, trained, tmp_path):
    config, checkpoint = trained
    before = {p: p.read_bytes() for p in (tmp_path / 'w').iterdir() if p.is_file()}
    test([str(config), str(checkpoint), '--work-dir', str(tmp_path / 'w'), '--cfg-options', 'batch_size=1'])
    assert {p: p.read_bytes() for p in (tmp_path / 'w').iterdir() if p.is_file()} == before


def test_without_a_checkpoint_pretrained_weights_are_tested(test, tmp_path):
    """Zero-shot CLIP on features that are the embeddings of its own words."""
    register_all_modules()
    config = load_config(CONFIGS / 'zero_shot_clip_demo.py')
    model = MODELS.build(config.model)
    model.init_weights()
    normal, fire = (
        model._encode_prompts()[model.score_head.phrases.index(p)]
        for p in ('an ordinary scene where nothing happens', 'a person setting fire to something')
    )
    (tmp_path / 'features').mkdir()
    np.save(tmp_path / 'features' / 'Arson001_x264__0.npy', torch.stack([normal, fire, fire, normal]).numpy())
    (tmp_path / 'test.txt').write_text('Arson/Arson001_x264__0.npy\n')
    (tmp_path / 'frames.json').write_text('{"Arson001_x264": 64}')
    (tmp_path / 'Temporal_Anomaly_Annotation.txt').write_text('Arson001_x264.mp4  Arson  16  48  -1  -1  \n')
    out = tmp_path / 'm.json'
    options = [f'data_root={tmp_path}', 'num_workers=0', 'tensorboard=False', 'segment_mode=standard']
    arguments = ['none', '--out', str(out), '--work-dir', str(tmp_path / 't'), '--cfg-options', *options]
    assert test([str(CONFIGS / 'zero_shot_clip_demo.py'), *arguments]) == 0
    report = json.loads(out.read_text())
    assert report['checkpoint'] == 'none'
    assert report['metrics']['frame/auc'] == 1.0


def test_a_method_that_learns_is_not_tested_without_a_checkpoint(test):
    with pytest.raises(ConfigError, match='VadCLIP is a trained method'):
        test([str(CONFIGS / 'vadclip_demo.py'), 'none'])


def test_weights_that_are_missing_leave_no_work_dir(test, tmp_path):
    arguments = ['none', '--work-dir', str(tmp_path / 't'), '--cfg-options', f'pretrained={tmp_path}/none.safetensors']
    with pytest.raises(MissingFileError, match=r'none\.safetensors'):
        test([str(CONFIGS / 'zero_shot_clip_demo.py'), *arguments])
    assert not (tmp_path / 't').exists()
