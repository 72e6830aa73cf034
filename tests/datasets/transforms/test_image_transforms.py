import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from tests.datasets.caption_sets import write_image
from tests.datasets.turned_videos import TURNS, lopsided_picture
from vadlab.datasets.transforms.load_image import LoadImage
from vadlab.datasets.transforms.pack_caption_inputs import PackCaptionInputs
from vadlab.datasets.transforms.square_crop import SquareCrop
from vadlab.datasets.transforms.tokenize_words import TokenizeWords
from vadlab.models.tokenizers.word_vocabulary import WordVocabulary
from vadlab.utils.errors import ConfigError, DataError, MissingFileError


def test_image_is_what_was_written(tmp_path):
    path = write_image(tmp_path / 'a.png', (5, 7))
    results = LoadImage()({'image_path': str(path)})
    written_bgr = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    np.testing.assert_array_equal(results['frames'][0], written_bgr[..., ::-1])
    assert results['frames'].dtype == np.uint8
    assert results['ori_shape'] == results['img_shape'] == (5, 7)


@pytest.mark.parametrize('channels', [1, 4])
def test_grey_and_transparent_images(tmp_path, channels):
    image = np.full((4, 4, channels), 77, np.uint8)
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    frames = LoadImage()({'image_path': str(tmp_path / 'a.png')})['frames']
    assert frames.shape == (1, 4, 4, 3)
    assert (frames == 77).all()


@pytest.mark.parametrize('kind', ['jpg', 'png', 'webp', 'tif'])
@pytest.mark.parametrize('mode', ['RGB', 'L'])
def test_a_camera_held_another_way(tmp_path, kind, mode):
    """EXIF's eight orientations, by the corners of the picture that a viewer shows."""
    stored = lopsided_picture()
    turns = ['upright', 'mirror', 'rot180', 'mirror_rot180', 'mirror_rot90', 'rot90', 'mirror_rot270', 'rot270']
    for number, turn in enumerate(turns, 1):
        image, path = Image.fromarray(stored).convert(mode), tmp_path / f'{number}.{kind}'
        exif = Image.Exif()
        exif[0x0112] = number
        image.save(path, **(dict(tiffinfo={0x0112: number}) if kind == 'tif' else dict(exif=exif)))
        results = LoadImage()({'image_path': str(path)})
        expected = TURNS[turn][1](np.asarray(image.convert('RGB'))).astype(int)
        assert results['ori_shape'] == expected.shape[:2]
        assert np.abs(results['frames'][0] - expected).mean() < 4, (number, turn)


@pytest.mark.parametrize('content', [b'', b'\xff\xd8\xff\xe0 cut short'])
def test_damaged_image(tmp_path, content):
    (tmp_path / 'a.jpg').write_bytes(content)
    with pytest.raises(DataError, match=r'a.jpg is not an image, or is damaged'):
        LoadImage()({'image_path': str(tmp_path / 'a.jpg')})


def test_missing_image(tmp_path):
    with pytest.raises(MissingFileError, match='there is no such image'):
        LoadImage()({'image_path': str(tmp_path / 'a.jpg')})


@pytest.mark.parametrize('shape', [(4, 9), (9, 4)])
def test_square_from_the_middle(shape):
    frames = np.arange(36 * 3, dtype=np.uint8).reshape(1, *shape, 3)
    cut = SquareCrop()({'frames': frames})
    middle = frames[:, :, 2:6] if shape == (4, 9) else frames[:, 2:6]
    np.testing.assert_array_equal(cut['frames'], middle)
    assert cut['img_shape'] == (4, 4)


def test_random_square_reaches_both_ends():
    frames = np.arange(6, dtype=np.uint8)[None, None, :, None].repeat(3, axis=3).repeat(4, axis=1)
    torch.manual_seed(0)
    starts = {int(SquareCrop('random')({'frames': frames})['frames'][0, 0, 0, 0]) for _ in range(40)}
    assert starts == {0, 1, 2}


def test_crop_can_be_switched_off():
    frames = np.zeros((1, 4, 9, 3), np.uint8)
    assert SquareCrop(enabled=False)({'frames': frames})['frames'].shape == (1, 4, 9, 3)
    with pytest.raises(ConfigError, match='choose one of center, random'):
        SquareCrop('left')


@pytest.fixture
def tokenizer(tmp_path):
    WordVocabulary(words=['<pad>', '<unk>', '<bos>', '<eos>', 'a', 'car']).save(tmp_path / 'v.json')
    return dict(type='WordVocabulary', vocab_file=str(tmp_path / 'v.json'))


def test_tokens_of_a_caption(tokenizer):
    ids = TokenizeWords(tokenizer)({'caption': 'A car, a boat.'})['caption_tokens']
    assert ids.tolist() == [2, 4, 5, 4, 1, 3]
    assert ids.dtype == np.int64


def test_report_counts_unknown_words_and_cuts(tokenizer):
    lines = TokenizeWords(tokenizer, max_len=4).report([{'captions': ['a boat']}, {'captions': ['a car a car']}])
    assert lines == ['1 of 4 words (25.00%) are unknown, 1 of 2 captions are cut at 4 tokens']
    with pytest.raises(ConfigError, match='max_len must be >= 3'):
        TokenizeWords(tokenizer, max_len=2)


def test_some_captions_of_an_image_are_drawn_and_padded(tmp_path):
    vocabulary = WordVocabulary.build(['a b c d'], min_count=1)
    vocabulary.save(tmp_path / 'v.json')
    tokenizer = dict(type='WordVocabulary', vocab_file=str(tmp_path / 'v.json'))
    image = dict(captions=['a', 'a b', 'a b c d'])
    torch.manual_seed(0)
    transform = TokenizeWords(tokenizer, num_captions=2)
    drawn = set()
    for _ in range(30):
        tokens = transform(dict(image))['caption_tokens']
        texts = [vocabulary.decode(row) for row in tokens]
        assert tokens.shape == (2, max(len(text.split()) for text in texts) + 2)
        drawn.add(tuple(texts))
    assert len(drawn) == 6  # any two of three, in any order
    again = TokenizeWords(tokenizer, num_captions=5)(dict(image))['caption_tokens']
    texts = [vocabulary.decode(row) for row in again]
    assert texts[3:] == texts[:2]
    assert set(texts) == set(image['captions'])
    with pytest.raises(ConfigError, match='num_captions must be >= 1'):
        TokenizeWords(tokenizer, num_captions=0)


def test_packed_sample():
    frames = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(1, 2, 3, 3)
    results = dict(frames=frames, image_id=5, image_path='a.jpg', captions=['a', 'b'], ori_shape=(4, 6))
    packed = PackCaptionInputs()(results)
    assert set(packed) == {'inputs', 'data_samples'}
    np.testing.assert_array_equal(packed['inputs'], frames[0].transpose(2, 0, 1))
    sample = packed['data_samples']
    assert (sample.image_id, sample.ori_shape, sample.gt_captions) == (5, (4, 6), ['a', 'b'])
    assert 'gt_caption_tokens' not in sample
    results['caption_tokens'] = np.array([2, 4, 3])
    assert PackCaptionInputs()(results)['data_samples'].gt_caption_tokens.tolist() == [2, 4, 3]
