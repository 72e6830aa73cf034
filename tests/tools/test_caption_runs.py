"""Captioners under the Runner: both stages, what they leave behind, and what stops them before the first step."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vadlab.checkpoints.checkpoint_io import read_checkpoint
from vadlab.models.tokenizers.word_vocabulary import WordVocabulary
from vadlab.utils.errors import CheckpointError, ConfigError, DataError, MissingFileError, VADLabError

TOOLS = Path(__file__).parents[2] / 'tools'


def metrics_of(test, config, checkpoint, folder, *options):
    out = folder / 'metrics.json'
    assert test([str(config), str(checkpoint), '--out', str(out), '--work-dir', str(folder / 't'), *options]) == 0
    return json.loads(out.read_text())['metrics']


def log_of(work):
    return '\n'.join(path.read_text() for path in sorted(work.glob('*/*.log')))


def scalars(work, name):
    """Values of a logged number, in order."""
    lines = [line for path in sorted(work.glob('*/vis_data/scalars.json')) for line in path.read_text().splitlines()]
    return [record[name] for record in map(json.loads, lines) if name in record]


def test_learns_colours_and_is_refined_by_rewards(train, test, captions_file, rewards_file, tmp_path):
    """Trained, tested, shown the wrong images, refined, resumed, and tested as an ensemble of both stages."""
    first = tmp_path / 'first'
    learn = ['max_epochs=30', 'min_epochs=30', 'lr=1e-2', 'lr_vision=1e-2', 'lr_milestones=20,25', 'log_interval=1']
    learn += ['captions_per_image=2', 'val_interval=10', 'model.loss_concept=None']
    assert train([str(captions_file), '--work-dir', str(first), '--cfg-options', *learn]) == 0
    (best,) = first.glob('best_caption_cider_d_epoch_*.pth')
    found = metrics_of(test, captions_file, best, tmp_path)
    captions = {r['image_id']: r['caption'] for r in json.loads((tmp_path / 'metrics.captions.json').read_text())}
    for image, colour in enumerate(('red', 'green', 'blue')):
        assert colour in captions[200 + image].split()
    shuffled = metrics_of(test, captions_file, best, tmp_path, '--cfg-options', 'shuffled_images=True')
    assert shuffled['caption/cider_d'] < 0.3 * found['caption/cider_d']
    assert shuffled['caption/bleu4'] < found['caption/bleu4']

    second = tmp_path / 'second'
    refine = ['--cfg-options', f'load_from={best}', 'log_interval=1']
    assert train([str(rewards_file), '--work-dir', str(second), *refine]) == 0
    assert all(0 <= value <= 10 for value in scalars(second, 'reward'))
    assert len(scalars(second, 'loss_scst')) == 4  # two epochs of two batches
    assert len(list((tmp_path / 'frequencies').glob('*.npz'))) == 1
    assert train([str(rewards_file), '--work-dir', str(second), '--resume', '--cfg-options', 'last_epoch=41']) == 0
    assert read_checkpoint(second / 'epoch_3.pth')['meta']['epoch'] == 3
    assert metrics_of(test, captions_file, second / 'epoch_3.pth', tmp_path)['caption/cider_d'] > 0

    both = tmp_path / 'toyboth.py'
    both.write_text(
        f"_base_ = ['{captions_file}']\n"
        f"model = dict(_delete_=True, type='CaptionEnsemble', captioner=_base_.model, "
        f"pretrained=['{best}', '{second / 'epoch_3.pth'}'])\n"
    )
    assert metrics_of(test, both, 'none', tmp_path)['caption/cider_d'] > 0.5 * found['caption/cider_d']


def test_rewards_with_accumulation_and_mixed_precision(train, captions_file, rewards_file, tmp_path):
    assert train([str(captions_file), '--work-dir', str(tmp_path / 'a')]) == 0
    options = [f'load_from={tmp_path / "a" / "epoch_1.pth"}', 'accumulative_counts=2', 'log_interval=1']
    options += ['amp_dtype=bfloat16', 'amp_on_cpu=True', 'batch_size=3']
    assert train([str(rewards_file), '--work-dir', str(tmp_path / 'b'), '--cfg-options', *options]) == 0
    assert np.isfinite(scalars(tmp_path / 'b', 'loss_scst')).all()
    assert len(scalars(tmp_path / 'b', 'loss_scst')) == 8


def test_rewards_without_a_trained_captioner_are_refused(train, rewards_file, tmp_path):
    with pytest.raises(ConfigError, match='SelfCriticalFSGR continues from a trained model: set load_from'):
        train([str(rewards_file), '--work-dir', str(tmp_path / 'w')])


def test_verification_reads_what_is_refined(train, captions_file, rewards_file, load_tool, tmp_path, capsys):
    verify = load_tool('verify').main
    assert train([str(captions_file), '--work-dir', str(tmp_path / 'a')]) == 0
    options = ['--cfg-options', f'load_from={tmp_path / "a" / "epoch_1.pth"}']
    assert verify([str(rewards_file), '--no-cache', '--workers', '1', *options]) == 0
    shown = capsys.readouterr().out
    assert 'epoch_1.pth fits the model' in shown
    assert 'loss_scst' in shown
    assert verify([str(rewards_file), '--no-cache', '--workers', '1']) == 2
    assert 'set load_from to its checkpoint' in capsys.readouterr().out


def test_training_ends_early(train, captions_file, tmp_path):
    work = tmp_path / 'w'
    options = ['max_epochs=9', 'min_epochs=2', 'patience=2', 'lr=0.0', 'lr_vision=0.0']
    assert train([str(captions_file), '--work-dir', str(work), '--cfg-options', *options]) == 0
    assert read_checkpoint(work / (work / 'last_checkpoint').read_text())['meta']['epoch'] == 3
    assert 'did not improve' in log_of(work)


def test_checkpoint_of_another_vocabulary(train, test, captions_file, rewards_file, tmp_path):
    assert train([str(captions_file), '--work-dir', str(tmp_path / 'a')]) == 0
    checkpoint = tmp_path / 'a' / 'epoch_1.pth'
    WordVocabulary.build(['one other word'], min_count=1).save(tmp_path / 'data' / 'vocab.json')
    match = 'was trained with another vocabulary'
    with pytest.raises(CheckpointError, match=match):
        train([str(rewards_file), '--work-dir', str(tmp_path / 'b'), '--cfg-options', f'load_from={checkpoint}'])
    with pytest.raises(CheckpointError, match=match):
        test([str(captions_file), str(checkpoint), '--work-dir', str(tmp_path / 'c')])


def _edit(data, change):
    content = json.loads((data / 'captions.json').read_text())
    change(content['images'])
    (data / 'captions.json').write_text(json.dumps(content))


def _to_coco(data, annotate=lambda image_id: image_id):
    """The captions in COCO's layout, numbered from 0."""
    images = json.loads((data / 'captions.json').read_text())['images']
    listed = [{'id': i['cocoid'], 'file_name': f'{i["filepath"]}/{i["filename"]}'} for i in images]
    sentences = [(i['cocoid'], s['raw']) for i in images for s in i['sentences']]
    annotations = [{'id': n, 'image_id': annotate(i), 'caption': text} for n, (i, text) in enumerate(sentences)]
    (data / 'coco.json').write_text(json.dumps({'images': listed, 'annotations': annotations}))
    return ['ann_file=coco.json', 'train_splits=None', 'val_splits=None', 'test_splits=None']


def no_image(data):
    (data / 'images/train/3.png').write_text('no image')
    return []


def damaged_image(data):
    path = data / 'images/val/0.png'
    path.write_bytes(path.read_bytes()[:40])
    return []


def unknown_image_ids(data):
    return _to_coco(data, lambda image_id: image_id + 5000)


def ids_of_another_split(data):
    np.save(data / 'ids.npy', np.arange(900, 950))
    return [*_to_coco(data), 'train_id_file=ids.npy']


def other_codebook_width(data):
    return ['model.embed_dim=16']


def no_special_word(data):
    content = json.loads((data / 'vocab.json').read_text())
    content['words'].remove('<bos>')
    (data / 'vocab.json').write_text(json.dumps(content))
    return []


def no_word(data):
    _edit(data, lambda images: images[0]['sentences'][0].update(raw='...'))
    return []


def no_vocabulary(data):
    (data / 'vocab.json').unlink()
    return []


def too_few_places(data):
    _edit(data, lambda images: images[0]['sentences'][0].update(raw='red ' * 300))
    return ['model.decoder.max_len=8']


@pytest.mark.parametrize(
    ('spoil', 'error', 'message'),
    [
        (no_image, DataError, '1 files are not images'),
        (damaged_image, DataError, '0.png is not an image, or is damaged'),
        (unknown_image_ids, DataError, '36 captions of .* are of image ids that it does not list'),
        (ids_of_another_split, DataError, 'ids.npy'),
        (other_codebook_width, DataError, '8.*16|16.*8'),
        (no_special_word, DataError, 'lacks <bos>'),
        (no_word, DataError, '1 captions without a word'),
        (no_vocabulary, MissingFileError, 'no vocabulary file'),
        (too_few_places, DataError, 'a caption of image 0 has 12 tokens'),
    ],
)
def test_bad_input_is_one_message_before_the_first_step(train, captions_file, tmp_path, spoil, error, message):
    options = spoil(tmp_path / 'data')
    command = [str(captions_file), '--work-dir', str(tmp_path / 'w')]
    with pytest.raises(VADLabError, match=message) as caught:
        train(command + (['--cfg-options', *options] if options else []))
    assert isinstance(caught.value, error)
    assert 'Epoch(train)' not in log_of(tmp_path / 'w')
    assert not list((tmp_path / 'w').glob('*.pth'))


def test_a_caption_of_300_words_is_cut_and_counted(train, captions_file, tmp_path):
    _edit(tmp_path / 'data', lambda images: images[0]['sentences'][0].update(raw='red ' * 300))
    assert train([str(captions_file), '--work-dir', str(tmp_path / 'w')]) == 0
    assert '1 of 24 captions are cut at max_len=12 tokens' in log_of(tmp_path / 'w')


@pytest.mark.slow
def test_two_ranks_over_gloo(train, captions_file, rewards_file, tmp_path):
    assert train([str(captions_file), '--work-dir', str(tmp_path / 'a')]) == 0
    launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    command = [TOOLS / 'train.py', rewards_file, '--work-dir', tmp_path / 'b', '--launcher', 'pytorch']
    options = ['--cfg-options', f'load_from={tmp_path / "a" / "epoch_1.pth"}', 'log_interval=1']
    done = subprocess.run(
        [*launch, *command, *options],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''},
    )
    assert done.returncode == 0, done.stderr
    assert len(scalars(tmp_path / 'b', 'loss_scst')) == 2  # twelve images, six a rank
