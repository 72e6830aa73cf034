from pathlib import Path

import numpy as np
import pytest

from tests.datasets.caption_sets import coco, karpathy
from vadlab.models.heads.codebook import load_codebook
from vadlab.models.tokenizers.word_vocabulary import WordVocabulary
from vadlab.utils.errors import ConfigError, DataError

SMALL_CLIP = 'vadlab/simulators/surveillance/weights/clip_synthetic.safetensors'


def test_vocabulary_of_the_training_split_alone(load_tool, tmp_path, capsys):
    main = load_tool('build_vocabulary').main
    out = tmp_path / 'v.json'
    command = [str(karpathy(tmp_path)), '--splits', 'train', 'restval', '--min-count', '2', '--out', str(out)]
    assert main(command) == 0
    words = WordVocabulary(out).words
    assert words[4:] == ('a', 'car', 'man', 'red', 'is', 'parked')
    assert '10 words of 10 captions of 2 images' in capsys.readouterr().out
    np.save(tmp_path / 'ids.npy', np.array([*range(70, 75), *range(90, 95)]))
    assert main([str(coco(tmp_path)), '--ids', str(tmp_path / 'ids.npy'), *command[4:]]) == 0
    assert WordVocabulary(out).words == words
    path = coco(tmp_path)
    path.write_text(path.read_text().replace('"image_id": 9', '"image_id": 5'))
    with pytest.raises(DataError, match='5 captions of .* are of image ids that it does not list'):
        main([str(path), '--out', str(out)])
    with pytest.raises(ConfigError, match='min-count must be at least 1'):
        main([*command, '--min-count', '0'])


def test_codebook_from_names(load_tool, tmp_path, capsys):
    (tmp_path / 'names.txt').write_text('a red car\na fire\n')
    out = tmp_path / 'c.safetensors'
    command = [str(tmp_path / 'names.txt'), '--clip', SMALL_CLIP, '--out', str(out), '--templates', '{}']
    assert load_tool('build_codebook').main(command) == 0
    names, embeds = load_codebook(out, embed_dim=64)
    assert names == ['a red car', 'a fire']
    assert embeds.shape == (2, 64)
    assert '2 concepts of 64 dimensions' in capsys.readouterr().out


def test_the_small_clip_has_a_name_in_any_folder(load_tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('names.txt').write_text('a red car\n')
    command = ['names.txt', '--clip', 'vadlab/simulators/surveillance/weights/clip_synthetic.safetensors']
    assert load_tool('build_codebook').main([*command, '--out', 'c.safetensors']) == 0
    assert load_codebook(tmp_path / 'c.safetensors', embed_dim=64)[0] == ['a red car']
