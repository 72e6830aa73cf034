from pathlib import Path

import pytest
import torch

from vadlab.apis.features.extraction import FeatureExtraction
from vadlab.utils.config import load_config
from vadlab.utils.setup_env import register_all_modules

CONFIGS = Path(__file__).parents[2] / 'configs'
FEATURES = sorted(CONFIGS.glob('features_*.py'))
TINY_CLIP = {'pretrained': None, 'width': 16, 'layers': 1, 'heads': 2, 'patch_size': 32, 'image_size': 64}


@pytest.mark.parametrize('path', FEATURES, ids=lambda p: p.stem)
def test_every_config_makes_features(path, tmp_path):
    register_all_modules()
    if 'videomae' in path.stem:
        options = {'pretrained': None, 'image_size': 32}
        options |= {f'model.vision.{k}': v for k, v in {'width': 16, 'layers': 1, 'heads': 2}.items()}
    else:
        options = TINY_CLIP
    extraction = FeatureExtraction(load_config(path, options), tmp_path)
    extraction.prepare()
    count = len(extraction.plan.offsets)
    assert extraction.plan.snippet_len == 16
    feats = extraction.encode(torch.zeros(2, count, 256, 340, 3, dtype=torch.uint8).numpy())
    assert feats.shape == (2, 1, extraction.model.feature_dim)
    FeatureExtraction(load_config(path, options), tmp_path).prepare()


def test_channels_of_the_public_sets():
    register_all_modules()
    dims = {path.stem: load_config(path).model.get('embed_dim') for path in FEATURES}
    assert dims == {
        'features_clip_demo': 64,
        'features_clip_vit_b16': 512,
        'features_clip_vit_b32': 512,
        'features_clip_vit_l14': 768,
        'features_videomae_b': None,
    }
