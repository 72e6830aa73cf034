"""FG-CLIP 2 through the tools: from a folder in the released layout, and every mistake in such a folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models import released_fgclip1
from tests.models.released_fgclip2 import released_tensors, write_released
from vadlab.checkpoints.checkpoint_io import read_checkpoint
from vadlab.utils.errors import CheckpointError, MissingFileError

ROOT = Path(__file__).parents[2]
CONFIG = """
_base_ = ['{root}/configs/fgclip2_ucf.py']
data_root = '{data}'
pretrained = '{weights}'
test_ann_file = 'test.json'
temporal_ann_file = None
classes = ('Normal', 'Arson', 'Fighting', 'Vandalism')
num_frames = 4
min_region_frames = 2
max_patches = 12
batch_size = 2
accumulative_counts = 1
num_workers = 0
max_epochs = 1
amp_dtype = None
hard_negatives = True
tensorboard = False
model = dict(
    vision=dict(num_patches=16, width=32, layers=2, heads=4),
    text=dict(vocab_size=300, width=32, layers=2, heads=4),
    queue=dict(size=8),
)
"""


@pytest.fixture
def weights(tmp_path):
    return write_released(tmp_path / 'weights')


@pytest.fixture
def config(tiny_data, weights, tmp_path):
    """The file of a tiny FG-CLIP 2 experiment, some of whose regions have hard negatives and expressions."""
    records = json.loads((tiny_data / 'train.json').read_text(encoding='utf-8'))
    for record in records:
        for region in record['bbox_info']:
            negatives = {str(i): f'a cat {i}' for i in range(10)}
            region.update(flag_short_neg=1, short_expr_negs=negatives)
    (tiny_data / 'train.json').write_text(json.dumps(records), encoding='utf-8')
    path = tmp_path / 'tinyfgclip2.py'
    path.write_text(CONFIG.format(root=ROOT, data=tiny_data, weights=weights))
    return path


def test_train_resume_test_and_infer(train, test, load_tool, config, tiny_data, tmp_path, capsys):
    work = tmp_path / 'w'
    train([str(config), '--work-dir', str(work)])
    train([str(config), '--work-dir', str(work), '--resume', '--cfg-options', 'max_epochs=2'])
    log = capsys.readouterr().out
    for name in ('loss_global', 'loss_region', 'loss_text', 'loss_hard_negative', 'logit_scale_hardneg'):
        assert f'{name}:' in log, name
    before = released_tensors()['boxtext_head.weight']
    state = read_checkpoint(work / 'epoch_2.pth')['state_dict']
    assert state['queue_region.counters'].tolist() == [6, 4]
    assert not torch.equal(state['text_box_projection.weight'], before)
    assert 'loss_hard_negative.margin' in state
    out = tmp_path / 'metrics.json'
    test([str(config), str(work / 'epoch_2.pth'), '--out', str(out), '--work-dir', str(tmp_path / 't')])
    assert {'frame/auc', 'region/r@1', 'space/grounding_acc@0.5'} <= set(json.loads(out.read_text())['metrics'])
    assert np.load(tmp_path / 'metrics.npz')['Arson002'].shape == (24,)
    # One sampled frame per video would do; the test's four keep the aspect ratio of a video without annotation.
    video = tiny_data / 'Videos' / 'Fighting002.mp4'
    status = load_tool('infer').main([str(config), str(work / 'epoch_2.pth'), str(video), '--out', str(tmp_path / 'i')])
    assert not status
    assert list((tmp_path / 'i').rglob('Fighting002*.json'))


def test_weights_are_tested_without_training(test, config, tmp_path):
    out = tmp_path / 'metrics.json'
    test([str(config), 'none', '--out', str(out), '--work-dir', str(tmp_path / 't')])
    assert 0 <= json.loads(out.read_text())['metrics']['frame/auc'] <= 1


def test_dry_run_leaves_no_files(train, config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob('*'))
    train([str(config), '--dry-run'])
    assert sorted(tmp_path.rglob('*')) == before


@pytest.fixture
def verify(load_tool, config, tmp_path, monkeypatch):
    """Runs tools/verify.py; returns its status and its findings as lines."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'xdg'))

    def run(*options):
        report = tmp_path / 'report.json'
        arguments = [str(config), '--workers', '1', '--json', str(report), '--no-smoke']
        status = load_tool('verify').main([*arguments, *(['--cfg-options', *options] if options else [])])
        findings = json.loads(report.read_text())['findings']
        return status, [f'{f["level"]} {f["check"]}: {f["message"]}' for f in findings]

    return run


def has(lines, *parts):
    assert any(all(part in line for part in parts) for line in lines), (parts, lines)


def test_verify_compares_captions_of_both_languages(verify, weights, tiny_data):
    records = json.loads((tiny_data / 'train.json').read_text(encoding='utf-8'))
    records[0]['global_caption'] = 'red ' * 250
    (tiny_data / 'train.json').write_text(json.dumps(records), encoding='utf-8')
    status, lines = verify()
    assert status == 0
    has(lines, 'pass weights', 'fits the model')
    # 4 captions of videos; of each of 3 regions its own and 10 negatives. One video and its region are in Chinese.
    has(lines, 'pass train captions: 37 captions', f'tokenizer: HuggingFaceTokenizer of {weights}')
    has(lines, 'pass train English: 35 captions (94.6%)', '2.9% over 64, 2.9% cut')
    has(lines, 'pass train Chinese: 2 captions (5.4%)', '0.0% over 64, 0.0% cut')
    has(lines, 'warning train captions: 1 captions are cut at 196 and 64 tokens: Fighting001')
    _, lines = verify('tokenizer_path=None', 'model.text.vocab_size=50000')
    has(lines, 'train captions', 'tokenizer: CLIPTokenizer')
    has(lines, 'train Chinese: 2 captions', 'per character')


def test_captions_beyond_the_long_path_are_told_before_training(train, config, tiny_data, tmp_path, capsys):
    records = json.loads((tiny_data / 'train.json').read_text(encoding='utf-8'))
    records[1]['global_caption'] = 'red ' * 250
    (tiny_data / 'train.json').write_text(json.dumps(records), encoding='utf-8')
    train([str(config), '--work-dir', str(tmp_path / 'w')])
    log = capsys.readouterr().out
    told = '1 captions are too long for the text tower and are cut at 196 tokens (those of regions at 64), in Arson001.'
    assert log.index(told) < log.index('Epoch(train) [1]')


def no_tokenizer(folder):
    (folder / 'tokenizer.json').unlink()


def no_shard(folder):
    (folder / 'model-00002-of-00002.safetensors').unlink()


def mixed(folder):
    write_released(folder, released_tensors() | {'vision_model.embeddings.class_embedding': torch.zeros(32)})


def first_generation(folder):
    for file in folder.glob('model*'):
        file.unlink()
    released_fgclip1.write_released(folder)


@pytest.mark.parametrize(
    ('spoil', 'error', 'message'),
    [
        (no_tokenizer, MissingFileError, r'weights has no tokenizer\.json\. Copy tokenizer\.json'),
        (no_shard, CheckpointError, r'lacks 1 of the 2 shards .* model-00002-of-00002\.safetensors\. Copy or download'),
        (
            mixed,
            CheckpointError,
            r'mixes weights of FG-CLIP 1 .* and FG-CLIP 2 .* Copy or download all files of one model',
        ),
        (
            first_generation,
            CheckpointError,
            r'holds weights of FG-CLIP 1 .*, but the model is FG-CLIP 2\. Take a config',
        ),
    ],
)
def test_a_wrong_folder_is_one_message_before_the_first_step(train, config, weights, tmp_path, spoil, error, message):
    spoil(weights)
    with pytest.raises(error, match=message) as found:
        train([str(config), '--work-dir', str(tmp_path / 'w')])
    assert '\n' not in str(found.value)
    assert not (tmp_path / 'w').exists()


def test_verify_tells_of_a_missing_tokenizer(verify, weights):
    no_tokenizer(weights)
    status, lines = verify()
    assert status == 2
    has(lines, 'failure weights', 'has no tokenizer.json. Copy tokenizer.json')
    has(lines, 'failure train captions', 'has no tokenizer.json. Copy tokenizer.json')


def test_a_config_of_the_first_generation_names_the_second(train, tiny_file, weights, tmp_path):
    with pytest.raises(CheckpointError, match=r'is of FG-CLIP 2, .* such as configs/fgclip2_ucf\.py'):
        train([str(tiny_file), '--work-dir', str(tmp_path / 'w'), '--cfg-options', f'pretrained={weights}'])
