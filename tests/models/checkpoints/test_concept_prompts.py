import json

import numpy as np
import pytest
import torch

from vadlab.models.backbones.clip_text_transformer import CLIPTextTransformer
from vadlab.models.checkpoints import concept_prompts
from vadlab.models.checkpoints.clip_weights import CLIPWeights
from vadlab.models.checkpoints.concept_prompts import encode_texts, read_concept_features, read_concepts
from vadlab.models.tokenizers.clip_tokenizer import CLIPTokenizer
from vadlab.utils.errors import CheckpointError, ConfigError, DataError


def _save(folder, content, name='c.json'):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding='utf-8')
    return path


@pytest.fixture
def clip(monkeypatch):
    """A tiny CLIP text tower in place of a checkpoint."""
    torch.manual_seed(0)
    arch = dict(
        vocab_size=49408, context_length=24, long_context_length=None, width=8, layers=1, heads=2, mlp_ratio=4.0,
        hidden_act='gelu',
    )  # fmt: skip
    tower = CLIPTextTransformer(**arch).eval()
    projection = torch.randn(5, 8)
    weights = CLIPWeights(
        vision={},
        text=tower.state_dict(),
        extras={'text_projection.weight': projection},
        arch=dict(text=dict(arch), vision={}, embed_dim=5),
        source='tiny',
    )
    monkeypatch.setattr(concept_prompts, 'load_clip_checkpoint', lambda _: weights)
    return tower, projection, weights


def test_concepts_less_related_than_the_mean_are_skipped(tmp_path):
    path = _save(
        tmp_path,
        {
            'normal event': {'normal event': 1.0},
            'fighting': {'fighting': 1.0, 'who': 0.1, 'wrestling': 0.4, 'punching': 0.3},  # mean of the rest 0.267
            'riot': {'riot': 1.0, 'violence': 0.5, 'noise': 0.5},
        },
    )
    assert read_concepts(path) == {
        'normal event': ['normal event'],
        'fighting': ['fighting', 'wrestling', 'punching'],
        'riot': ['riot', 'violence', 'noise'],
    }


def test_lists_of_concepts_are_used_whole_and_entries_can_be_renamed(tmp_path):
    path = _save(tmp_path, {'nonviolence': ['calm'], 'riot': ['riot', 'a mob']})
    assert read_concepts(path, ('Normal', 'B4')) == {'Normal': ['calm'], 'B4': ['riot', 'a mob']}


def test_class_is_the_mean_of_its_projected_concepts(tmp_path, clip):
    tower, projection, _ = clip
    path = _save(tmp_path, {'Arson': ['fire', 'a burning house'], 'Normal': ['a quiet street'], 'Riot': ['riot']})
    features = read_concept_features(path, ('Normal', 'Arson'), clip='x')
    tokenizer = CLIPTokenizer()
    tokens = [torch.tensor(tokenizer.encode(t)) for t in ('fire', 'a burning house', 'a quiet street')]
    with torch.no_grad():
        fire, house, street = tower(tokens) @ projection.T
    torch.testing.assert_close(features, torch.stack([street, (fire + house) / 2]))
    assert features.requires_grad is False


def test_authors_array_is_read_in_the_order_of_its_classes(tmp_path):
    np.save(tmp_path / 'xd.npy', np.array([[1, 2], [3, 4], [5, 6]], np.float32))
    features = read_concept_features(tmp_path / 'xd.npy', ('A', 'B1', 'B5'), order=('A', 'B5', 'B1'))
    assert features.tolist() == [[1, 2], [5, 6], [3, 4]]


@pytest.mark.parametrize('content', ['{"a": ', '[]', '{}', '{"a": []}', '{"a": [1]}', '{"a": {"b": "c"}}', '{"a": ""}'])
def test_an_invalid_file_of_concepts_is_an_error(tmp_path, content):
    with pytest.raises(DataError, match='not valid JSON|expected'):
        read_concepts(_save(tmp_path, content))


@pytest.mark.parametrize(
    'array',
    [np.zeros((2, 4), np.float32), np.zeros(3, np.float32), np.zeros((3, 4), np.int64), np.full((3, 4), np.nan)],
    ids=['rows', 'dimensions', 'type', 'nan'],
)
def test_array_that_does_not_fit_is_an_error(tmp_path, array):
    np.save(tmp_path / 'p.npy', array)
    with pytest.raises(DataError, match='one row of floats for each of 3 classes|not finite'):
        read_concept_features(tmp_path / 'p.npy', ('Normal', 'Arson', 'Riot'))


def test_damaged_array_is_an_error(tmp_path):
    (tmp_path / 'p.npy').write_bytes(b'\x93NUMPY')
    with pytest.raises(DataError, match='p.npy is damaged'):
        read_concept_features(tmp_path / 'p.npy', ('Normal',))


def test_array_of_objects_is_rejected(tmp_path):
    np.save(tmp_path / 'p.npy', np.array([{'a': 1}], object), allow_pickle=True)
    with pytest.raises(DataError, match='holds Python objects'):
        read_concept_features(tmp_path / 'p.npy', ('Normal',))


def test_class_without_concepts_is_named_with_the_nearest(tmp_path):
    path = _save(tmp_path, {'Normal': ['calm'], 'Explosion': ['blast']})
    with pytest.raises(ConfigError, match="nothing about the class 'Explosions'.*Explosion"):
        read_concept_features(path, ('Normal', 'Explosions'), clip='x')


def test_other_number_of_entries_than_names_is_an_error(tmp_path):
    with pytest.raises(DataError, match='has 1 entries .*2 classes are named'):
        read_concepts(_save(tmp_path, {'Normal': ['calm']}), ('Normal', 'Riot'))


def test_unknown_ending_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match='end in .npy'):
        read_concept_features(_save(tmp_path, 'x', 'p.txt'), ('Normal',))


def test_clip_with_unknown_heads_is_an_error(clip):
    clip[2].arch['text']['heads'] = None
    with pytest.raises(CheckpointError, match='does not specify the heads'):
        encode_texts(['fire'], 'x')


def test_demo_clip_gives_similar_embeddings_to_texts_of_the_same_meaning():
    features = encode_texts(
        ['an explosion', 'people fighting', 'a person hitting another person'],
        'vadlab/simulators/surveillance/weights/clip_synthetic.safetensors',
    )
    explosion, fighting, hitting = torch.nn.functional.normalize(features, dim=1)
    assert features.shape == (3, 64)
    assert fighting @ hitting > fighting @ explosion
