import json

import pytest

from vadlab.evaluation.functional.captions.caption_scores import caption_scores
from vadlab.evaluation.functional.captions.wordnet import WordNet
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

REFERENCES = {'1': ['a man rides a horse', 'a man on a horse'], '2': ['two dogs run'], '3': ['一只狗', '狗']}
CANDIDATES = {'3': '一只狗', '1': 'A man on a horse.', '2': 'two dogs'}


@pytest.fixture
def main(load_tool, monkeypatch):
    monkeypatch.setattr(WordNet, 'find', classmethod(lambda cls: None))
    return load_tool('eval_captions').main


def _write(folder, references=REFERENCES, candidates=CANDIDATES):
    paths = []
    for name, content in (('references.json', references), ('candidates.json', candidates)):
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name).write_text(text, encoding='utf-8')
        paths.append(str(folder / name))
    return paths


def test_scores_are_printed_and_written(main, tmp_path, capsys):
    out = tmp_path / 'new' / 'metrics.json'
    assert main([*_write(tmp_path), '--out', str(out)]) == 0
    report = json.loads(out.read_text())
    expected = caption_scores([CANDIDATES[name] for name in REFERENCES], list(REFERENCES.values()))
    assert report['metrics'] == {f'caption/{name}': value for name, value in expected.numbers.items()}
    assert report['protocol']['caption/meteor'] == expected.protocol['meteor']
    assert report['num_images'] == 3
    printed = capsys.readouterr().out
    assert 'caption/cider_d' in printed
    assert '1 to 2 references per image' in printed
    assert "no WordNet. To get it: pip install 'vadlab[captions]', then python -m nltk.downloader wordnet" in printed


def test_coco_files_give_the_same(main, tmp_path):
    plain = tmp_path / 'plain.json'
    main([*_write(tmp_path), '--out', str(plain)])
    annotations = [dict(image_id=int(i), id=k, caption=c) for i, cs in REFERENCES.items() for k, c in enumerate(cs)]
    results = [dict(image_id=int(i), caption=c) for i, c in CANDIDATES.items()]
    for references in (annotations, dict(images=[], annotations=annotations)):
        coco = tmp_path / 'coco.json'
        main([*_write(tmp_path, references, results), '--out', str(coco)])
        assert json.loads(coco.read_text())['metrics'] == json.loads(plain.read_text())['metrics']


@pytest.mark.parametrize(
    ('references', 'candidates', 'message'),
    [
        (REFERENCES, {'1': 'a'}, r"candidates.json does not have 2 ids of the other file \(first: '2'\)"),
        ({'1': ['a']}, CANDIDATES, r"references.json does not have 2 ids of the other file \(first: '3'\)"),
        (REFERENCES | {'2': ['', ' ... ']}, CANDIDATES, "references.json: no caption of '2' has a word in it"),
        (REFERENCES, CANDIDATES | {'2': None}, "a caption of '2' is None, no text"),
        (REFERENCES, CANDIDATES | {'2': ['a', 'b']}, "more than one caption for '2'"),
        (REFERENCES | {'2': []}, CANDIDATES, "references.json: '2' has an empty list"),
        (REFERENCES | {'2': ['a', 5]}, CANDIDATES, "references.json: a caption of '2' is 5, no text"),
        ('{"1": ["a"], "1": ["b"]}', {'1': 'a'}, "references.json cannot be used: line 1: the key '1' is there twice"),
        (REFERENCES, [dict(image_id=1, caption='a')] * 2, "more than one caption for '1'"),
        (REFERENCES, [dict(image=1, caption='a')], 'candidates.json: entry 0 has no image_id and caption'),
        ({}, CANDIDATES, 'references.json contains no captions; expected'),
        ('5', CANDIDATES, 'references.json contains no captions; expected'),
        ('{"1": ', CANDIDATES, 'references.json is not valid JSON'),
    ],
)
def test_files_that_do_not_fit_are_named(main, tmp_path, references, candidates, message):
    with pytest.raises(DataError, match=message):
        main(_write(tmp_path, references, candidates))


def test_missing_files_and_a_wrong_ending(main, tmp_path):
    references, candidates = _write(tmp_path)
    with pytest.raises(MissingFileError, match='There is no file .*other.json'):
        main([references, str(tmp_path / 'other.json')])
    with pytest.raises(ConfigError, match='must end with .json'):
        main([references, candidates, '--out', 'metrics.txt'])
    (tmp_path / 'latin.json').write_bytes('{"1": ["caf\xe9"]}'.encode('latin-1'))
    with pytest.raises(DataError, match='latin.json, line 1: the byte 0xe9 is not UTF-8'):
        main([str(tmp_path / 'latin.json'), candidates])


@pytest.mark.parametrize('caption', ['', ' ... '])
def test_a_candidate_without_a_word_scores_0_and_is_counted(main, tmp_path, capsys, caption):
    out = tmp_path / 'metrics.json'
    candidates = CANDIDATES | {'2': caption}
    assert main([*_write(tmp_path, candidates=candidates), '--out', str(out)]) == 0
    assert "1 of 3 captions have no word in them and score 0 (first: '2')" in capsys.readouterr().out
    report = json.loads(out.read_text())
    assert report['num_empty'] == 1
    whole = caption_scores([CANDIDATES[name] for name in REFERENCES], list(REFERENCES.values())).numbers
    others = {name: captions for name, captions in REFERENCES.items() if name != '2'}
    alone = caption_scores([CANDIDATES[name] for name in others], list(others.values())).numbers
    assert report['metrics']['caption/rouge_l'] == pytest.approx(alone['rouge_l'] * 2 / 3)
    assert report['metrics']['caption/rouge_l'] < whole['rouge_l']


def test_karpathys_file_as_references(main, tmp_path):
    plain = tmp_path / 'plain.json'
    main([*_write(tmp_path), '--out', str(plain)])
    images = [
        dict(cocoid=int(name), filename=f'{name}.jpg', split='val', sentences=[dict(raw=text) for text in captions])
        for name, captions in REFERENCES.items()
    ]
    images.append(dict(cocoid=9, filename='9.jpg', split='train', sentences=[dict(raw='a cat')]))
    paths = _write(tmp_path, {'images': images})
    out = tmp_path / 'karpathy.json'
    main([*paths, '--split', 'val', '--out', str(out)])
    assert json.loads(out.read_text())['metrics'] == json.loads(plain.read_text())['metrics']
    with pytest.raises(DataError, match=r'no image is of split test; there are train \(1\), val \(3\)'):
        main(paths)


def test_a_byte_order_mark_is_no_part_of_the_text(main, tmp_path):
    references, candidates = _write(tmp_path)
    path = tmp_path / 'candidates.json'
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())
    assert main([references, candidates]) == 0
