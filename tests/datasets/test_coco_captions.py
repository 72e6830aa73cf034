import json

import numpy as np
import pytest

from tests.datasets.caption_sets import CAPTIONS, coco, karpathy, write_image
from vadlab.datasets.coco_captions import COCOCaptions
from vadlab.models.tokenizers.word_vocabulary import WordVocabulary
from vadlab.utils.errors import ConfigError, DataError, MissingFileError


def dataset(root, ann_file, **options):
    return COCOCaptions(ann_file=ann_file if isinstance(ann_file, list) else ann_file.name, data_root=str(root),
                        image_dir='images', **options)  # fmt: skip


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_pairs_of_karpathy_splits(tmp_path):
    data = dataset(tmp_path, karpathy(tmp_path), splits=('train', 'restval'))
    rows = [data.get_data_info(i) for i in range(len(data))]
    assert [(row['image_id'], row['caption']) for row in rows] == [(i, c) for i in (7, 9) for c in CAPTIONS[i]]
    assert all(row['captions'] == [row['caption']] for row in rows)
    assert rows[5]['image_path'].endswith('images/val2014/COCO_val2014_000000000009.jpg')
    assert data.references() == [CAPTIONS[7], CAPTIONS[9]]


def test_images_with_all_references(tmp_path):
    data = dataset(tmp_path, karpathy(tmp_path), rows='images')
    assert {row['image_id']: row['captions'] for row in data} == CAPTIONS
    assert data.references() == list(CAPTIONS.values())


def test_both_layouts_say_the_same(tmp_path):
    train = coco(tmp_path, (7,), 'train2014')
    val = coco(tmp_path, (9, 4), 'val2014')
    np.save(tmp_path / 'train_ids.npy', np.array([70, 71, 72, 73, 74]))
    np.save(tmp_path / 'restval_ids.npy', np.array([94, 90, 91, 92, 93]))
    by_ids = dataset(tmp_path, [train.name, val.name], id_file=['train_ids.npy', 'restval_ids.npy'])
    by_split = dataset(tmp_path, karpathy(tmp_path), splits=['train', 'restval'])
    assert [by_ids.get_data_info(i) for i in range(10)] == [by_split.get_data_info(i) for i in range(10)]
    assert len(by_ids) == len(by_split) == 10


def test_coco_file_without_ids_takes_all(tmp_path):
    data = dataset(tmp_path, coco(tmp_path), rows='images')
    assert {row['image_id']: row['captions'] for row in data} == CAPTIONS


def test_ids_of_single_captions(tmp_path):
    np.save(tmp_path / 'ids.npy', np.array([93, 71]))
    data = dataset(tmp_path, coco(tmp_path), id_file='ids.npy', rows='images')
    assert {row['image_id']: row['captions'] for row in data} == {7: [CAPTIONS[7][1]], 9: [CAPTIONS[9][3]]}


def test_whole_pipeline(tmp_path):
    vocabulary = WordVocabulary.build([c for captions in CAPTIONS.values() for c in captions], 1)
    vocabulary.save(tmp_path / 'vocab.json')
    pipeline = [
        dict(type='LoadImage'),
        dict(type='Resize', size=16),
        dict(type='TokenizeWords', tokenizer=dict(type='WordVocabulary', vocab_file=str(tmp_path / 'vocab.json'))),
        dict(type='PackCaptionInputs'),
    ]
    packed = dataset(tmp_path, karpathy(tmp_path), pipeline=pipeline)[1]
    sample = packed['data_samples']
    assert packed['inputs'].shape == (3, 16, 16)
    assert (sample.image_id, sample.ori_shape, sample.img_shape) == (7, (24, 32), (16, 16))
    assert vocabulary.decode(sample.gt_caption_tokens) == 'a car on a street'
    assert sample.gt_captions == ['A car on a street!']


def test_images_in_two_folders_as_coco_2017_has_them(tmp_path):
    for part, image_id in (('train2017', 9), ('val2017', 7)):
        write_image(tmp_path / part / f'{image_id:012d}.jpg')
        images = [dict(id=image_id, file_name=f'{image_id:012d}.jpg')]
        content = dict(images=images, annotations=[dict(id=1, image_id=image_id, caption='a car')])
        (tmp_path / f'captions_{part}.json').write_text(json.dumps(content))
    for image_dir in ('.', ''):
        dataset = COCOCaptions('captions_val2017.json', str(tmp_path), image_dir=image_dir)
        assert dataset.get_data_info(0)['image_path'] == str(tmp_path / 'val2017/000000000007.jpg')
    write_image(tmp_path / 'copies/000000000007.jpg')
    with pytest.raises(DataError, match=r'1 images are there more than once .*copies/0+7.jpg, val2017/0+7.jpg'):
        COCOCaptions('captions_val2017.json', str(tmp_path))
    assert len(COCOCaptions('captions_val2017.json', str(tmp_path), image_dir='val2017')) == 1


def test_splits_that_differ_in_capital_letters_are_refused(tmp_path):
    images = [
        dict(filename=f'{split}.jpg', imgid=i, split=split, sentences=[dict(raw='a car')])
        for i, split in enumerate(('train', 'Train'))
    ]
    write_image(tmp_path / 'train.jpg')
    (tmp_path / 'dataset.json').write_text(json.dumps(dict(images=images)))
    with pytest.raises(DataError, match=r'splits differ in capital letters only \(train \(1\), Train \(1\)\)'):
        COCOCaptions('dataset.json', str(tmp_path), splits=['train'], check_images=False)


def test_file_that_is_no_image(tmp_path):
    path = karpathy(tmp_path)
    (tmp_path / 'images/val2014/COCO_val2014_000000000009.jpg').write_text('<html>404</html>')
    with pytest.raises(DataError, match=r'1 files are not images \(.*COCO_val2014_000000000009.jpg\)'):
        dataset(tmp_path, path)
    assert len(dataset(tmp_path, path, splits=['train'])) == 5


def test_missing_images(tmp_path):
    path = karpathy(tmp_path)
    for file in (tmp_path / 'images').rglob('COCO_val*'):
        file.unlink()
    with pytest.raises(MissingFileError, match=r'2 images are not below .*images \(first: val2014/COCO_val2014'):
        dataset(tmp_path, path)


def test_caption_of_an_unknown_image(tmp_path):
    path = coco(tmp_path)
    edit(path, lambda content: content['annotations'][3].update(image_id=123))
    with pytest.raises(DataError, match=r'1 captions of .* are of image ids that it does not list \(123\)'):
        dataset(tmp_path, path)


def test_id_file_of_another_split(tmp_path):
    np.save(tmp_path / 'dev_ids.npy', np.array([70, 500, 501]))
    with pytest.raises(DataError, match=r'dev_ids.npy: 2 of its 3 annotation ids \(first: 500\) .* another split'):
        dataset(tmp_path, coco(tmp_path), id_file='dev_ids.npy')


@pytest.mark.parametrize('ids', [np.zeros(0, int), np.zeros((2, 2), int), np.array([1.5])])
def test_id_file_of_something_else(tmp_path, ids):
    np.save(tmp_path / 'ids.npy', ids)
    with pytest.raises(DataError, match='wanted a list of annotation ids'):
        dataset(tmp_path, coco(tmp_path), id_file='ids.npy')


def test_id_file_with_code_in_it_is_refused(tmp_path):
    np.save(tmp_path / 'ids.npy', np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match='holds Python objects'):
        dataset(tmp_path, coco(tmp_path), id_file='ids.npy')


def test_a_caption_that_is_no_text(tmp_path):
    path = coco(tmp_path)
    edit(path, lambda content: content['annotations'][6].update(caption=None))
    with pytest.raises(DataError, match=r"1 annotations of .* are incomplete \(.*'None' is not a text"):
        dataset(tmp_path, path)


@pytest.mark.parametrize('caption', ['', ' ... '])
def test_caption_without_a_word(tmp_path, caption):
    path = coco(tmp_path)
    edit(path, lambda content: content['annotations'][6].update(caption=caption))
    with pytest.raises(DataError, match=r'1 captions without a word \(.* of image 9\)'):
        dataset(tmp_path, path)


def test_long_captions_are_counted(tmp_path):
    path = coco(tmp_path)
    edit(path, lambda content: content['annotations'][6].update(caption='word ' * 300))
    WordVocabulary.build(['a word'], 1).save(tmp_path / 'vocab.json')
    tokenizer = dict(type='WordVocabulary', vocab_file=str(tmp_path / 'vocab.json'))
    data = dataset(tmp_path, path, pipeline=[dict(type='TokenizeWords', tokenizer=tokenizer)])
    assert data.notes == ['1 of 15 captions are cut at max_len=54 tokens']
    assert data[6]['caption_tokens'].tolist()[-3:] == [5, 5, 3]
    assert len(data[6]['caption_tokens']) == 54


def test_unknown_split(tmp_path):
    with pytest.raises(DataError, match=r'no image is of split val; there are restval \(1\), test \(1\), train \(1\)'):
        dataset(tmp_path, karpathy(tmp_path), splits=['val'])


def test_option_of_the_other_layout(tmp_path):
    with pytest.raises(DataError, match="in COCO's layout and has no splits"):
        dataset(tmp_path, coco(tmp_path), splits=['train'])
    np.save(tmp_path / 'ids.npy', np.array([70]))
    with pytest.raises(DataError, match='has its own splits'):
        dataset(tmp_path, karpathy(tmp_path), id_file='ids.npy')
    with pytest.raises(DataError, match='not of one layout'):
        dataset(tmp_path, [coco(tmp_path).name, karpathy(tmp_path).name])


def test_image_that_occurs_twice(tmp_path):
    path = karpathy(tmp_path)
    edit(path, lambda content: content['images'].append(content['images'][0]))
    with pytest.raises(DataError, match=r'1 image ids occur more than once \(7\)'):
        dataset(tmp_path, path)


def test_image_without_captions(tmp_path):
    path = karpathy(tmp_path)
    edit(path, lambda content: content['images'][1].update(sentences=[]))
    with pytest.raises(DataError, match=r'1 images have no caption \(9\)'):
        dataset(tmp_path, path)


@pytest.mark.parametrize('text', ['{"images": []}', '[]', '{"images": [{"id": 1}]}'])
def test_file_without_captions(tmp_path, text):
    (tmp_path / 'other.json').write_text(text)
    with pytest.raises(DataError, match='contains no captions'):
        dataset(tmp_path, tmp_path / 'other.json')


def test_damaged_and_missing_files(tmp_path):
    (tmp_path / 'cut.json').write_text('{"images": [')
    with pytest.raises(DataError, match='cut.json is not valid JSON'):
        dataset(tmp_path, tmp_path / 'cut.json')
    with pytest.raises(MissingFileError, match='ann_file none.json not found'):
        dataset(tmp_path, tmp_path / 'none.json')


def test_shuffled_images_stand_with_captions_of_others(tmp_path):
    right, shuffled = (
        dataset(tmp_path, karpathy(tmp_path), rows='images', shuffle_images=shuffle) for shuffle in (False, True)
    )
    by_id = {row['image_id']: row for row in right}
    assert len(shuffled) == len(right) > 2
    for row in shuffled:
        assert row['captions'] == by_id[row['image_id']]['captions']
        assert row['image_path'] != by_id[row['image_id']]['image_path']
    assert {row['image_path'] for row in shuffled} == {row['image_path'] for row in right}


def test_options_that_cannot_be(tmp_path):
    with pytest.raises(ConfigError, match="rows is 'words'; choose one of pairs, images"):
        dataset(tmp_path, tmp_path / 'a.json', rows='words')
    with pytest.raises(ConfigError, match='ann_file is empty: set the caption file'):
        COCOCaptions(ann_file=[])
