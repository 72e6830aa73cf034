import json

import pytest

from vadlab.datasets.coco_captions import COCOCaptions
from vadlab.models.heads.codebook import load_codebook
from vadlab.models.tokenizers.word_vocabulary import WordVocabulary
from vadlab.utils.config import load_config
from vadlab.utils.errors import ConfigError


@pytest.fixture(scope='module')
def made(load_tool, tmp_path_factory):
    out = tmp_path_factory.mktemp('captions') / 'set'
    command = ['--out', str(out), '--train', '6', '--val', '2', '--test', '2', '--workers', '1']
    assert load_tool('make_caption_data').main(command) == 0
    return out, command


def test_set_is_what_the_base_config_reads(made, tmp_path):
    out, _ = made
    options = dict(data_root=str(out), ann_file='dataset.json', train_splits=('train',), image_size=32, crop=False)
    base = load_config('configs/_base_/datasets/coco_captions.py', {**options, 'vocab_file': str(out / 'vocab.json')})
    vocabulary = WordVocabulary(out / 'vocab.json')
    sizes = {}
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        settings = base[name].dataset.to_dict()
        assert settings.pop('type') == 'COCOCaptions'
        data = COCOCaptions(**settings)
        packed = data[0]
        assert packed['inputs'].shape == (3, 32, 32)
        sizes[name] = len(data)
        if name == 'train_dataloader':
            tokens = packed['data_samples'].gt_caption_tokens
            assert vocabulary.unk_id not in tokens
            assert len(packed['data_samples'].gt_captions) == 1
        else:
            assert len(packed['data_samples'].gt_captions) == 5
    assert sizes == {'train_dataloader': 30, 'val_dataloader': 2, 'test_dataloader': 2}


def test_codebook_fits_the_small_clip(made):
    names, embeds = load_codebook(made[0] / 'codebook.safetensors', embed_dim=64)
    assert len(names) == len(set(names)) == len(embeds) > 20  # the head takes the 20 nearest


def test_a_second_run_draws_nothing_and_another_set_is_refused(made, load_tool, capsys):
    out, command = made
    main = load_tool('make_caption_data').main
    before = (out / 'dataset.json').read_bytes()
    assert main(command) == 0
    assert '10 pictures (0 new)' in capsys.readouterr().out
    assert (out / 'dataset.json').read_bytes() == before
    with pytest.raises(ConfigError, match='holds another data set'):
        main([*command, '--seed', '1'])
    with pytest.raises(ConfigError, match='workers must be at least 1'):
        main([*command, '--workers', '0'])


def test_file_is_in_karpathys_layout(made):
    content = json.loads((made[0] / 'dataset.json').read_text())
    entry = content['images'][0]
    assert set(entry) == {'cocoid', 'split', 'filepath', 'filename', 'sentences'}
    assert (made[0] / 'images' / entry['filepath'] / entry['filename']).is_file()
