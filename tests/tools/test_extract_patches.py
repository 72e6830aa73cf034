"""tools/extract_patches.py, and training from what it writes."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vadlab.apis.patch_extraction import PatchExtraction
from vadlab.datasets.formats.patch_store import PatchStore, PatchWriter
from vadlab.datasets.transforms.load_patches import LoadPatches
from vadlab.models.heads.codebook import save_codebook
from vadlab.registry import DATASETS, MODELS
from vadlab.utils.config import load_config
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

SMALL_CLIP = Path(__file__).parents[2] / 'vadlab/simulators/surveillance/weights/clip_synthetic.safetensors'
SETTINGS = """
_base_ = ['{toy}']
patch_store = '{store}'
pretrained = '{clip}'
model = dict(
    vision=dict(
        width=128, layers=6, heads=4, hidden_act='gelu', frozen=True, adapters=dict(_delete_=True, first=3, last=4)
    ),
    embed_dim=64,
)
"""


@pytest.fixture
def extract(load_tool):
    return load_tool('extract_patches').main


@pytest.fixture
def config(captions_file, tmp_path):
    """The toy experiment on the small CLIP, frozen but for adapters, from a store."""
    save_codebook(tmp_path / 'data' / 'codebook.safetensors', ['red', 'green', 'blue'], torch.eye(3, 64))
    path = captions_file.with_name(f'patches_{captions_file.name}')
    path.write_text(SETTINGS.format(toy=captions_file, store=tmp_path / 'store', clip=SMALL_CLIP))
    return str(path)


def _model(config, **options):
    torch.manual_seed(0)
    model = MODELS.build(load_config(config, options).model)
    model.init_weights()
    return model.eval()


def _batch(config, count=4, **options):
    """The first rows of the training set, from the store unless options say otherwise."""
    dataset = DATASETS.build(load_config(config, options).train_dataloader.dataset)
    items = [dataset[2 * i] for i in range(count)]
    return dict(inputs=[item['inputs'] for item in items], data_samples=[item['data_samples'] for item in items])


@pytest.mark.parametrize(('dtype', 'tolerance'), [('float32', 1e-5), ('float16', 1e-2)])
def test_features_and_losses_from_the_store_equal_those_from_images(
    extract, config, tmp_path, dtype, tolerance, capsys
):
    assert extract([config, '--dtype', dtype, '--batch-size', '5', '--workers', '0']) == 0
    assert '12 images in' in (out := capsys.readouterr().out)
    assert f'5 tokens of 128 numbers before block 3, {dtype}' in out
    model = _model(config)
    seen, losses = [], []
    for store in (str(tmp_path / 'store'), None):
        data = model.data_preprocessor(_batch(config, patch_store=store))
        assert data['inputs'].shape == ((4, 5, 128) if store else (4, 3, 32, 32))
        seen.append(model.vision.forward_patches(data['inputs']))
        losses.append(model(**data, mode='loss'))
    for ours, direct in zip(*seen, strict=True):
        torch.testing.assert_close(ours, direct, rtol=tolerance, atol=tolerance)
    for name, value in losses[0].items():
        torch.testing.assert_close(value, losses[1][name], rtol=tolerance, atol=tolerance)


def test_training_runs_from_the_store_and_trains_the_adapters_alone(extract, train, config, tmp_path):
    assert extract([config, '--workers', '0']) == 0
    for image in (tmp_path / 'data' / 'images' / 'train').iterdir():  # same name and size, but no picture any more
        image.write_bytes(image.read_bytes()[:8].ljust(image.stat().st_size, b'\0'))
    assert train([config, '--work-dir', str(tmp_path / 'work')]) == 0
    trained = torch.load(tmp_path / 'work' / 'epoch_1.pth', weights_only=True)['state_dict']
    before = _model(config).state_dict()
    changed = {k.split('.')[1] for k in trained if k.startswith('vision.') and not torch.equal(trained[k], before[k])}
    assert changed == {'adapters'}


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(extract, config, tmp_path):
    """In batches of three, one image of which is damaged: order, numbers and the list of images are the same."""
    damaged = sorted(path for path in (tmp_path / 'data').rglob('*') if path.suffix in ('.jpg', '.png'))[4]
    damaged.write_bytes(damaged.read_bytes()[:60])
    for jobs in ('1', '2'):
        with pytest.raises(DataError, match='1 images could not be used'):
            extract([config, '--batch-size', '3', '--jobs', jobs, '--cfg-options', f'patch_store={tmp_path / jobs}'])
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / jobs).iterdir() if path.is_file()} for jobs in ('1', '2')
    )
    assert one == two
    assert len(one['patches.bin']) > 0


def test_a_killed_extraction_goes_on_where_it_was(extract, config, tmp_path, monkeypatch, capsys):
    write = PatchWriter.write
    calls = []

    def killed(self, images, patches):
        if len(calls) == 2:
            self._patches.write(b'half a batch')
            raise KeyboardInterrupt
        calls.append(images)
        write(self, images, patches)

    monkeypatch.setattr(PatchWriter, 'write', killed)
    with pytest.raises(KeyboardInterrupt):
        extract([config, '--batch-size', '5', '--workers', '0'])
    monkeypatch.setattr(PatchWriter, 'write', write)
    assert extract([config, '--batch-size', '5', '--workers', '0']) == 0
    assert '2 images in' in (out := capsys.readouterr().out)
    assert '10 already done' in out
    whole = {i: PatchStore(tmp_path / 'store').read(i) for i in range(12)}
    assert extract([config, '--overwrite', '--workers', '0']) == 0
    again = PatchStore(tmp_path / 'store')
    for image_id, patches in whole.items():
        np.testing.assert_allclose(again.read(image_id), patches, rtol=2e-3, atol=2e-3)


def test_what_does_not_belong_together_is_one_message(extract, config, tmp_path):
    with pytest.raises(MissingFileError, match='There are no patches in .*store'):
        _batch(config)
    assert extract([config, '--workers', '0']) == 0
    options = '--cfg-options'
    with pytest.raises(DataError, match='image 0 are not those of this backbone'):
        _model(config, **{'model.vision.adapters.first': 4}).val_step(_batch(config))
    with pytest.raises(DataError, match='of another recipe .block: 3 -> 4'):
        extract([config, '--workers', '0', options, 'model.vision.adapters.first=4'])
    with pytest.raises(DataError, match=r'other pictures: SquareCrop\(.*True\) there, SquareCrop\(.*False\) here'):
        _batch(config, crop=False)
    with pytest.raises(ConfigError, match='its first block learns'):
        extract([config, options, 'model.vision.adapters=None', 'model.vision.frozen=False'])
    with pytest.raises(ConfigError, match='reads no stored patches'):
        extract([config, options, 'patch_store=None'])
    with pytest.raises(ConfigError, match='--batch-size must be at least 1, not 0'):
        extract([config, '--batch-size', '0'])
    with pytest.raises(ConfigError, match='stored as float16 or float32'):
        extract([config, '--dtype', 'int8', '--workers', '0'])
    other = np.full((99, 48, 3), 7, np.uint8)
    cv2.imwrite(str(tmp_path / 'data' / 'images' / 'train' / '0.png'), other)
    with pytest.raises(DataError, match=r'store: 1 images are other files than it was made from \(id 0\)'):
        _batch(config)


def test_images_that_are_missing_or_broken_are_named(extract, config, tmp_path):
    broken = tmp_path / 'data' / 'images' / 'train' / '7.png'
    content = broken.read_bytes()
    broken.write_bytes(content[:20])
    with pytest.raises(DataError, match=r'1 images could not be used \(first: .*7.png is not an image.*all others are'):
        extract([config, '--workers', '0'])
    broken.write_bytes(content)
    with pytest.raises(DataError, match=r'LoadPatches: .*store: 1 images are not in it \(id 7\). Add the missing ones'):
        _batch(config)
    assert extract([config, '--workers', '0']) == 0
    assert len(_batch(config)['inputs']) == 4


def test_pictures_that_are_drawn_anew_cannot_be_stored(config):
    changed = load_config(config)
    changed.train_dataloader.dataset.pipeline[0].pipeline.append(dict(type='RandomFlip'))
    with pytest.raises(ConfigError, match='stay the same from epoch to epoch; RandomFlip.* is random'):
        PatchExtraction(changed)


def test_load_patches_says_which_store_it_reads(extract, config, tmp_path):
    assert extract([config, '--workers', '0']) == 0
    steps = load_config(config).train_dataloader.dataset.pipeline[0].pipeline
    transform = LoadPatches(str(tmp_path / 'store'), steps)
    assert repr(transform) == f'LoadPatches(store={str(tmp_path / "store")!r})'
    with pytest.raises(DataError, match='made from other pictures: by 4 transforms, here are 3'):
        LoadPatches(str(tmp_path / 'store'), steps[:3])
