import json

import pytest

from tests.tools.toy_captions import config_text, write_data
from vadlab.apis import Verification
from vadlab.models.tokenizers.word_vocabulary import WordVocabulary
from vadlab.utils.config import load_config
from vadlab.utils.setup_env import register_all_modules


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path / 'data')


def verify(data, smoke=False, **options):
    """Findings of a whole verification, as (level, text)."""
    register_all_modules()
    path = data.parent / 'toy_verified.py'
    path.write_text(config_text(data))
    report = Verification(load_config(path, options), workers=1, smoke=smoke).run()
    return [(finding.level, f'{finding.check}: {finding.message}') for finding in report.findings]


def texts(findings, level):
    return [text for found, text in findings if found == level]


def edit(data, change, name='captions.json'):
    content = json.loads((data / name).read_text())
    change(content)
    (data / name).write_text(json.dumps(content))


def failure(data, **options):
    """The one failure that there is."""
    (text,) = texts(verify(data, **options), 'failure')
    return text


def test_a_good_experiment_passes(data):
    findings = verify(data, smoke=True)
    assert texts(findings, 'failure') == []
    passes = texts(findings, 'pass')
    assert 'train images: 12 images decode' in passes
    wanted = 'train words: 24 captions, the longest of 4 words; 0.00% of all words are not in the vocabulary'
    assert wanted in passes
    (smoke,) = [text for text in passes if text.startswith('sanity check: ')]
    assert 'loss_caption' in smoke
    assert not any('normal' in text or 'video' in text for text in (*passes, *texts(findings, 'warning')))


def test_an_image_that_is_none_fails_by_its_first_bytes(data):
    (data / 'images/train/3.png').write_text('no image')
    assert '1 files are not images' in failure(data)


def test_a_damaged_image_fails_and_is_named(data):
    path = data / 'images/test/2.png'
    path.write_bytes(path.read_bytes()[:40])
    text = failure(data)
    assert text.startswith('test images: 1 of 3 images cannot be used: ')
    assert '2.png is not an image, or is damaged' in text


def test_unknown_image_ids_fail(data):
    images = json.loads((data / 'captions.json').read_text())['images']
    listed = [{'id': i['cocoid'], 'file_name': f'{i["filepath"]}/{i["filename"]}'} for i in images]
    annotations = [{'id': n, 'image_id': i['id'] + 5000, 'caption': 'a red picture'} for n, i in enumerate(listed)]
    (data / 'coco.json').write_text(json.dumps({'images': listed, 'annotations': annotations}))
    splits = dict(train_splits=None, val_splits=None, test_splits=None)
    found = texts(verify(data, ann_file='coco.json', **splits), 'failure')
    assert all('captions of' in text and 'are of image ids that it does not list' in text for text in found)
    assert found


def test_a_caption_without_a_word_fails(data):
    edit(data, lambda content: content['images'][0]['sentences'][0].update(raw=' ... '))
    assert "1 captions without a word (' ... ' of image 0)" in failure(data)


def test_a_caption_of_300_words_is_cut_and_named(data):
    edit(data, lambda content: content['images'][4]['sentences'][1].update(raw='red ' * 300))
    assert 'train words: 1 captions are cut at 12 tokens: image 4' in texts(verify(data), 'warning')


def test_words_that_a_vocabulary_lacks_are_told(data):
    WordVocabulary.build(['a picture'], min_count=1).save(data / 'vocab.json')
    (text, *_) = [t for t in texts(verify(data), 'warning') if t.startswith('train words')]
    assert '57.14% of all words are not in the vocabulary' in text


def test_a_vocabulary_without_a_special_word_fails(data):
    edit(data, lambda content: content['words'].remove('<eos>'), 'vocab.json')
    assert all('lacks <eos>' in text for text in texts(verify(data), 'failure'))


def test_a_codebook_of_another_width_fails(data):
    text = failure(data, **{'model.embed_dim': 16})
    assert text.startswith('model: ')
    assert '16' in text


def test_vocabularies_that_differ_fail(data):
    WordVocabulary.build(['a picture'], min_count=1).save(data / 'other.json')
    text = failure(data, **{'model.tokenizer.vocab_file': str(data / 'other.json')})
    assert text.startswith('train words: the pipeline writes by ')


def test_images_of_two_splits_are_told(data):
    assert 'splits: 12 images are in train and in val' in ' '.join(
        texts(verify(data, val_splits=('train',)), 'warning')
    )
