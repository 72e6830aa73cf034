import json
import pickle

import numpy as np
import pytest

from vadlab.datasets.formats.patch_store import PatchStore, PatchWriter
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

RECIPE = dict(weights='abc', block=2, steps=['LoadImage()'], shape=[3, 4], dtype='float16')


@pytest.fixture
def images(tmp_path):
    """Ids and paths of five files, of different sizes."""
    (tmp_path / 'images').mkdir()
    pairs = []
    for image_id in (7, 'seven', 9, 2, 5):
        path = tmp_path / 'images' / f'{image_id}.png'
        path.write_bytes(b'x' * (10 + len(pairs)))
        pairs.append((image_id, str(path)))
    return pairs


def patches(n, seed=0):
    return np.random.default_rng(seed).standard_normal((n, 3, 4)).astype(np.float32)


@pytest.mark.parametrize('dtype', ['float16', 'float32'])
def test_what_is_written_is_read_whatever_the_order(tmp_path, images, dtype):
    wanted = patches(5)
    with PatchWriter(tmp_path / 'store', RECIPE | {'dtype': dtype}) as writer:
        writer.write(images[:3], wanted[:3])
        writer.write(images[3:], wanted[3:])
    store = PatchStore(tmp_path / 'store')
    store.read(7)
    for again in (store, pickle.loads(pickle.dumps(store))):
        for k in (3, 0, 4, 2, 1):
            np.testing.assert_array_equal(again.read(images[k][0]), wanted[k].astype(dtype))
            assert again.problem_of(*images[k]) is None
    assert len(store) == 5
    assert 7 in store
    assert '7' not in store


@pytest.mark.parametrize('lost', ['half a line', 'half the patches of a batch', 'patches behind their lines'])
def test_a_killed_writer_is_taken_up_where_it_was(tmp_path, images, lost):
    wanted = patches(5)
    with PatchWriter(tmp_path / 'store', RECIPE) as writer:
        writer.write(images[:2], wanted[:2])
        writer.write(images[2:3], wanted[2:3])
    index, numbers = tmp_path / 'store' / 'images.jsonl', tmp_path / 'store' / 'patches.bin'
    if lost == 'half a line':
        index.write_bytes(index.read_bytes()[:-4])
    elif lost == 'half the patches of a batch':
        numbers.write_bytes(numbers.read_bytes() + b'\1' * 31)
    else:
        numbers.write_bytes(numbers.read_bytes()[:-5])
        with pytest.raises(DataError, match='patches.bin is cut short: 67 of 72 bytes'):
            PatchStore(tmp_path / 'store')
    with PatchWriter(tmp_path / 'store', RECIPE) as writer:
        todo = [k for k in range(5) if not writer.is_done(*images[k])]
        assert todo == ([3, 4] if lost == 'half the patches of a batch' else [2, 3, 4])
        writer.write([images[k] for k in todo], wanted[todo])
    store = PatchStore(tmp_path / 'store')
    for k, (image_id, _) in enumerate(images):
        np.testing.assert_array_equal(store.read(image_id), wanted[k].astype(np.float16))


def test_images_that_are_not_in_it_or_other_files_now_are_told(tmp_path, images):
    with PatchWriter(tmp_path / 'store', RECIPE) as writer:
        writer.write(images[:2], patches(2))
    store = PatchStore(tmp_path / 'store')
    assert store.problem_of(*images[2]) == 'images are not in it'
    with open(images[0][1], 'ab') as file:
        file.write(b'more')
    assert store.problem_of(*images[0]) == 'images are other files than it was made from'
    with (
        pytest.raises(DataError, match=r'patches of another file of the id 7 .*7.png, 10 bytes'),
        PatchWriter(tmp_path / 'store', RECIPE) as writer,
    ):
        writer.is_done(*images[0])


def test_another_recipe_is_refused_unless_all_is_made_anew(tmp_path, images):
    with PatchWriter(tmp_path / 'store', RECIPE) as writer:
        writer.write(images[:2], patches(2))
    other = RECIPE | {'weights': 'def'}
    with (
        pytest.raises(DataError, match="of another recipe .weights: 'abc' -> 'def'"),
        PatchWriter(tmp_path / 'store', other),
    ):
        pass
    with PatchWriter(tmp_path / 'store', other, overwrite=True) as writer:
        assert not writer.done
    (tmp_path / 'store' / 'recipe.json').unlink()
    with pytest.raises(DataError, match='without a recipe.json'), PatchWriter(tmp_path / 'store', RECIPE):
        pass


def test_one_writer_at_a_time(tmp_path):
    with (
        PatchWriter(tmp_path / 'store', RECIPE),
        pytest.raises(DataError, match='Another process is writing patches'),
        PatchWriter(tmp_path / 'store', RECIPE),
    ):
        pass


def test_numbers_that_the_type_cannot_hold_are_refused(tmp_path, images):
    with PatchWriter(tmp_path / 'store', RECIPE) as writer:
        for number in (1e5, np.nan):
            some = patches(2)
            some[1, 2, 3] = number
            with pytest.raises(DataError, match='image seven .*float16 cannot. Store them with --dtype float32'):
                writer.write(images[:2], some)
    assert len(PatchStore(tmp_path / 'store')) == 0
    with pytest.raises(ConfigError, match="float16 or float32, not as 'int8'"):
        PatchWriter(tmp_path / 'store', RECIPE | {'dtype': 'int8'})


def test_what_is_no_store_is_refused(tmp_path):
    with pytest.raises(MissingFileError, match='There are no patches in .*tools/extract_patches.py'):
        PatchStore(tmp_path)
    (tmp_path / 'recipe.json').write_text('{}')
    with pytest.raises(DataError, match='is not a recipe of patches'):
        PatchStore(tmp_path)
    (tmp_path / 'recipe.json').write_text('{')
    with pytest.raises(DataError, match='is not valid JSON'):
        PatchStore(tmp_path)
    (tmp_path / 'recipe.json').write_text(json.dumps(RECIPE))
    with pytest.raises(DataError, match='has no images.jsonl'):
        PatchStore(tmp_path)
    (tmp_path / 'images.jsonl').write_text('[1, "a.png", 3]\n17\n')
    with pytest.raises(DataError, match='line 2 does not describe an image'):
        PatchStore(tmp_path)
    (tmp_path / 'images.jsonl').write_text('[1, "a.png", 3]\n')
    with pytest.raises(DataError, match='patches.bin is cut short: 0 of 24 bytes'):
        PatchStore(tmp_path)
