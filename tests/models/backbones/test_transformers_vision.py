import json

import numpy as np
import pytest
import torch
from torch import nn

from vadlab.models.attributes.look import Look
from vadlab.models.backbones.transformers_vision import TransformersVision
from vadlab.models.objects.objects import Objects
from vadlab.utils.errors import CheckpointError, ConfigError

SMALL = dict(
    hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=16
)  # fmt: skip
PIXELS = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def write_model(folder, kind, head=None):
    """A tiny random model of transformers with its folder: ViT, CLIP of pictures and text, or ResNet."""
    import transformers

    torch.manual_seed(0)
    if kind == 'clip':
        text = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, vocab_size=50)
        model = transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=SMALL, projection_dim=8))
    elif kind == 'resnet':
        config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1])
        model = transformers.ResNetModel(config)
    else:
        config = transformers.ViTConfig(**SMALL)
        model = (head or transformers.ViTModel)(config)
    model.eval().save_pretrained(folder)
    settings = dict(image_mean=[0.5, 0.4, 0.3], image_std=[0.5, 0.25, 0.125], size={'height': 32, 'width': 32})
    (folder / 'preprocessor_config.json').write_text(json.dumps(settings))
    return model


@pytest.mark.parametrize('kind', ['vit', 'clip', 'resnet'])
def test_features_are_those_of_transformers_itself(tmp_path, kind):
    model = write_model(tmp_path, kind)
    tower = TransformersVision(str(tmp_path)).eval()
    with torch.no_grad():
        expected = (model.vision_model if kind == 'clip' else model)(pixel_values=PIXELS).pooler_output.flatten(1)
        found = tower(PIXELS)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert (tower.output, tower.width, tower.image_size) == ('pooled', expected.shape[1], 32)
    np.testing.assert_allclose(tower.mean, (127.5, 102, 76.5))
    np.testing.assert_allclose(tower.std, (127.5, 63.75, 31.875))


def test_look_takes_size_mean_and_deviation_from_the_model(tmp_path):
    model = write_model(tmp_path, 'vit')
    look = Look(extractor=dict(vision=dict(type='TransformersVision', pretrained=str(tmp_path))), normalize=False)
    look.init_weights()
    frame = np.random.default_rng(0).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    found = look.measure(frame, None, Objects(np.array([[10, 5, 42, 37]], np.float32), np.zeros((1, 0))))
    pixels = torch.from_numpy(frame[5:37, 10:42] / 255.0).float().permute(2, 0, 1)
    shift, scale = (torch.tensor(v).view(3, 1, 1) for v in ((0.5, 0.4, 0.3), (0.5, 0.25, 0.125)))
    with torch.no_grad():
        expected = model(pixel_values=((pixels - shift) / scale)[None]).pooler_output
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_a_classifier_without_a_pooled_output_gives_its_class_token(tmp_path, caplog):
    import transformers

    model = write_model(tmp_path, 'vit', transformers.ViTForImageClassification)
    tower = TransformersVision(str(tmp_path)).eval()
    assert tower.output == 'first'
    with torch.no_grad():
        expected = model.vit(pixel_values=PIXELS).last_hidden_state
    torch.testing.assert_close(tower(PIXELS), expected[:, 0], rtol=0, atol=1e-6)
    mean = TransformersVision(str(tmp_path), output='mean').eval()
    torch.testing.assert_close(mean(PIXELS), expected.mean(1), rtol=0, atol=1e-6)
    with pytest.raises(ConfigError, match="no pooled output with trained weights. Set output='first' or 'mean'"):
        TransformersVision(str(tmp_path), output='pooled')


def test_what_cannot_be_loaded(tmp_path):
    with pytest.raises(ConfigError, match=r"no output='last'. Known: auto, pooled, first, mean"):
        TransformersVision(output='last')
    with pytest.raises(ConfigError, match=r"arch=\{'model_type': 'unicorn'\} is no model of transformers"):
        TransformersVision(arch=dict(model_type='unicorn'))
    (tmp_path / 'config.json').write_text('{"model_type": "vit"}')
    with pytest.raises(CheckpointError, match=r'cannot be loaded: .*Give a Hugging Face id such as'):
        TransformersVision(str(tmp_path))
    write_model(tmp_path, 'vit')
    (tmp_path / 'config.json').write_text(json.dumps({'model_type': 'vit', **SMALL, 'num_hidden_layers': 2}))
    with pytest.raises(CheckpointError, match=r'lacks \d+ weights of ViTModel \(first: .*layer.*It is another model'):
        TransformersVision(str(tmp_path))
    write_model(tmp_path, 'resnet')
    with pytest.raises(ConfigError, match='a convolutional network has no first token'):
        TransformersVision(str(tmp_path), output='first')
    assert isinstance(TransformersVision(), nn.Module)  # small and random, to try things
