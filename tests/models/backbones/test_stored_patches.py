import pytest
import torch

from vadlab.models.backbones.clip_vision_transformer import CLIPVisionTransformer
from vadlab.models.backbones.stored_patches import StoredPatches
from vadlab.models.data_preprocessors.caption_data_preprocessor import CaptionDataPreprocessor
from vadlab.models.layers.weights_cache import steady_weights
from vadlab.structures import CaptionDataSample
from vadlab.utils.errors import ConfigError, DataError


def stored(preprocessor=None, **options):
    torch.manual_seed(0)
    options = dict(image_size=16, patch_size=8, width=8, layers=3, heads=2, frozen=True) | options
    return StoredPatches(CLIPVisionTransformer(**options), preprocessor or CaptionDataPreprocessor())


def test_hash_covers_exactly_what_patches_depend_on():
    first = dict(adapters=dict(first=1, last=2))
    here = stored(**first)
    assert here.weights() == stored(**first).weights()
    for name, parameter in here.vision.named_parameters():
        before = here.weights()
        with torch.no_grad():
            parameter[..., -1] += 1
        below = not name.startswith(('blocks.1', 'blocks.2', 'post_norm', 'adapters'))
        assert (here.weights() != before) == below, name
    others = [
        stored(),  # another block
        stored(**first, heads=4),
        stored(**first, hidden_act='gelu'),
        stored(CaptionDataPreprocessor(mean=(0.0, 0.0, 0.0)), **first),
        stored(CaptionDataPreprocessor(std=(1.0, 1.0, 1.0)), **first),
    ]
    assert len({stored(**first).weights(), *(other.weights() for other in others)}) == 6


def test_hash_is_computed_once_per_run_of_a_loop(monkeypatch):
    calls = []
    real = 'vadlab.models.backbones.stored_patches.weights_sha256'
    monkeypatch.setattr(real, lambda state: calls.append(1) or 'a')
    here = stored()
    with steady_weights(learning=True):
        for _ in range(3):
            here.weights()
    assert len(calls) == 1
    with steady_weights():
        for _ in range(3):
            here.weights()
    assert len(calls) == 2


def test_manual_changes_of_weights_change_the_hash():
    here = stored()
    with steady_weights(learning=True):
        before = here.weights()
    here.vision.class_embedding.data.add_(1)
    assert here.weights() != before


def test_patches_of_other_weights_are_rejected():
    here = stored()
    here.check([CaptionDataSample(metainfo=dict(image_id=3, patches_of=here.weights()))])
    for patches_of in ('0123', None):
        sample = CaptionDataSample(metainfo=dict(image_id=3, patches_of=patches_of))
        with pytest.raises(DataError, match='stored patches of image 3 are not those of this backbone'):
            here.check([sample])
    with pytest.raises(ConfigError, match='prompts learn, and its first block reads them'):
        stored(prompts={}).check([])
    with pytest.raises(ConfigError, match='its first block learns'):
        stored(frozen=False).check([])
    with pytest.raises(ConfigError, match='adapter of its first block learns'):
        stored(adapters=dict(first=0, last=1)).check([])
