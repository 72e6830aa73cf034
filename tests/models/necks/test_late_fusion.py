import pytest
import torch

from vadlab.models.layers.modality_tokens import ModalityTokens
from vadlab.models.necks.late_fusion import LateFusion
from vadlab.utils.errors import ConfigError

SOUND = torch.tensor([0, 2])


@pytest.fixture
def found():
    generator = torch.Generator().manual_seed(0)
    return {
        'video': ModalityTokens(torch.randn(3, 4, 6, generator=generator)),
        'audio': ModalityTokens(torch.randn(2, 5, 5, generator=generator), SOUND),
    }


def small(**options):
    torch.manual_seed(1)
    return LateFusion({'video': 6, 'audio': 5}, width=8, **options)


def test_classifying_the_mean_equals_the_mean_of_logits(found):
    model, classifier = small(), torch.nn.Linear(8, 4)
    video = classifier(model.streams['video'](found['video'].tokens.mean(1)))
    audio = classifier(model.streams['audio'](found['audio'].tokens.mean(1)))
    expected = torch.stack([(video[0] + audio[0]) / 2, video[1], (video[2] + audio[1]) / 2])
    torch.testing.assert_close(classifier(model(found, 3)), expected)


def test_views_are_separate_for_probabilities(found):
    model = small(average='probabilities')
    views, shares = model(found, 3)
    assert shares.tolist() == [[0.5, 0.5], [1, 0], [0.5, 0.5]]
    torch.testing.assert_close(views[:, 0], model.streams['video'](found['video'].tokens.mean(1)))
    torch.testing.assert_close(views[SOUND, 1], model.streams['audio'](found['audio'].tokens.mean(1)))


def test_clip_without_modalities_is_zeros(found):
    views, shares = small(average='probabilities')({'audio': found['audio']}, 3)
    assert views[1].abs().sum() == 0
    assert shares[1].tolist() == [0.5, 0.5]
    assert small()({'audio': found['audio']}, 3)[1].abs().sum() == 0


def test_padding_is_ignored(found):
    valid = torch.tensor([[True] * 5, [True, True, False, False, False]])
    padded = {'audio': found['audio']._replace(valid=valid)}
    alone = {'audio': ModalityTokens(found['audio'].tokens[1:, :2])}
    torch.testing.assert_close(small()(padded, 3)[2:], small()(alone, 1))


def test_unknown_average_is_rejected():
    with pytest.raises(ConfigError, match="average='max' must be logits or probabilities"):
        small(average='max')
