from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from vadlab.models.checkpoints.concept_prompts import encode_texts
from vadlab.models.heads.codebook import embed_names, load_codebook, read_names, save_codebook
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

ROOT = Path(__file__).parents[3]
SMALL_CLIP = ROOT / 'vadlab/simulators/surveillance/weights/clip_synthetic.safetensors'


def test_file_keeps_names_and_embeddings(tmp_path):
    embeds = F.normalize(torch.randn(3, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    save_codebook(tmp_path / 'c.safetensors', ['dog', 'bus stop', '猫'], 5 * embeds, clip='x')
    names, again = load_codebook(tmp_path / 'c.safetensors', embed_dim=8)
    assert names == ['dog', 'bus stop', '猫']
    torch.testing.assert_close(again, embeds)


def test_codebook_of_another_width_is_rejected(tmp_path):
    save_codebook(tmp_path / 'c.safetensors', ['dog'], torch.ones(1, 8))
    with pytest.raises(DataError, match='its concepts have 8 dimensions, the model has embed_dim=512'):
        load_codebook(tmp_path / 'c.safetensors', embed_dim=512)


def test_files_that_are_not_a_codebook_are_rejected(tmp_path):
    path = tmp_path / 'c.safetensors'
    with pytest.raises(MissingFileError, match='There is no codebook .*tools/build_codebook.py'):
        load_codebook(path)
    path.write_text('text')
    with pytest.raises(DataError, match='is not a codebook'):
        load_codebook(path)
    save_file({'embeds': torch.ones(2, 4)}, path)
    with pytest.raises(DataError, match='is not a codebook'):
        load_codebook(path)
    save_file({'embeds': torch.ones(2, 4)}, path, {'names': '["a"]'})
    with pytest.raises(DataError, match=r'1 names, but embeddings of shape \(2, 4\)'):
        load_codebook(path)
    save_codebook(path, ['a'], torch.full((1, 4), float('nan')))
    with pytest.raises(DataError, match='not finite'):
        load_codebook(path)
    with pytest.raises(ConfigError, match='2 names, but 1 embeddings'):
        save_codebook(path, ['a', 'b'], torch.ones(1, 4))
    with pytest.raises(ConfigError, match='as .safetensors only'):
        save_codebook(tmp_path / 'c.pt', ['a'], torch.ones(1, 4))


def test_cocos_classes_are_80():
    names = read_names(ROOT / 'configs/concepts/coco.txt')
    assert len(names) == 80
    assert (names[0], names[11], names[33], names[-1]) == ('person', 'stop sign', 'kite', 'toothbrush')


def test_names_files(tmp_path):
    (tmp_path / 'n.txt').write_text('# comment\na dog\n\ncat  # too\n')
    (tmp_path / 'n.json').write_text('["a dog", "cat"]')
    assert read_names(tmp_path / 'n.txt') == read_names(tmp_path / 'n.json') == ['a dog', 'cat']
    for name, text, message in (
        ('a.txt', 'dog\ndog\n', "has 'dog' twice"),
        ('b.txt', '\n', 'has no concept'),
        ('c.json', '{"a": 1}', 'contains no list of names'),
        ('d.json', '[', 'is not valid JSON'),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=message):
            read_names(tmp_path / name)
    with pytest.raises(MissingFileError, match='no file of names'):
        read_names(tmp_path / 'none.txt')


def test_embeddings_are_means_over_templates():
    templates = ('{}', 'a picture of {}')
    embeds = embed_names(['a red car', 'a fire'], SMALL_CLIP, templates)
    texts = F.normalize(encode_texts(['a fire', 'a picture of a fire'], SMALL_CLIP), dim=-1)
    torch.testing.assert_close(embeds[1], F.normalize(texts.mean(0), dim=-1))
    assert embeds.shape == (2, 64)
    with pytest.raises(ConfigError, match='holds one {} for the name'):
        embed_names(['a'], SMALL_CLIP, ['a photo'])


def test_a_byte_order_mark_is_not_part_of_a_name(tmp_path):
    (tmp_path / 'n.txt').write_text('person\r\ncar\r\n', encoding='utf-8-sig', newline='')
    assert read_names(tmp_path / 'n.txt') == ['person', 'car']
