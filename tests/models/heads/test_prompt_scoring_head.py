import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vadlab.models.heads.prompt_scoring_head import PromptScoringHead, in_words, to_every_frame
from vadlab.utils.errors import ConfigError

CLASSES = ['Normal', 'Fighting', 'RoadAccidents']


def _head(**options):
    return PromptScoringHead(CLASSES, {'Normal': ['a', 'b'], 'Fighting': ['c'], 'RoadAccidents': ['d']}, **options)


def test_logit_by_hand():
    head = _head()
    prompts = torch.eye(4)
    frame = torch.tensor([[[0.1, 0.2, 0.3, 0.4]]])
    wanted = math.log(math.exp(3) + math.exp(4)) - math.log(math.exp(1) + math.exp(2))
    assert head(frame, prompts, 10.0)[0].item() == pytest.approx(wanted, abs=1e-5)


def test_class_scores_agree_with_logits_and_sum_over_the_phrases_of_a_class():
    head = _head(score_window=3)
    generator = torch.Generator().manual_seed(0)
    frames = F.normalize(torch.randn(2, 5, 4, generator=generator), dim=-1)
    prompts = F.normalize(torch.randn(4, 4, generator=generator), dim=-1)
    logits, scores = head(frames, prompts, 3.0)
    assert scores.shape == (2, 5, 3)
    torch.testing.assert_close(1 - scores[..., 0], logits.sigmoid())
    one = _head()(torch.eye(4)[None, :1], torch.eye(4), 2.0)[1][0, 0]
    e = math.exp(2)
    torch.testing.assert_close(one, torch.tensor([e + 1, 1, 1]) / (e + 3))


def test_logits_do_not_saturate_where_probabilities_do():
    head = _head()
    frames = F.normalize(torch.tensor([[[0.0, 0, 1.0, 0], [0.1, 0, 1.0, 0]]]), dim=-1)
    logits, _ = head(frames, torch.eye(4), 1000.0)
    assert logits[0, 0] > logits[0, 1]
    assert logits.sigmoid().unique().numel() == 1


def test_templates_of_a_phrase_are_averaged():
    head = _head(templates=['{}', 'x {}'])
    assert head.texts == ['a', 'x a', 'b', 'x b', 'c', 'x c', 'd', 'x d']
    embeds = F.normalize(torch.randn(8, 5, generator=torch.Generator().manual_seed(0)), dim=-1)
    ensemble = head.ensemble(embeds)
    torch.testing.assert_close(ensemble[1], F.normalize(embeds[2] + embeds[3], dim=0))


def test_window_averages_the_neighbours_that_exist():
    frames = F.normalize(torch.randn(1, 4, 4, generator=torch.Generator().manual_seed(0)), dim=-1)
    prompts = torch.eye(4)
    smooth = torch.stack([frames[0, max(t - 1, 0) : t + 2].mean(0) for t in range(4)])[None]
    wanted = _head()(F.normalize(smooth, dim=-1), prompts, 10.0)
    for found, expected in zip(_head(score_window=3)(frames, prompts, 10.0), wanted, strict=True):
        torch.testing.assert_close(found, expected)


def test_known_classes_use_built_in_phrases_and_others_their_name():
    head = PromptScoringHead(['Normal', 'RoadAccidents', 'PickPocketing'], templates=['{}'])
    assert head.texts[-2:] == ['a road accident', 'pick pocketing']
    assert head.is_normal.tolist() == [True, True, False, False]
    assert in_words('RoadAccidents') == 'road accidents'
    assert PromptScoringHead(['Normal', 'roadaccidents'], templates=['{}']).texts[-1:] == ['a road accident']


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(prompts={'Figthing': ['x']}), "no class 'Figthing'.*'Fighting'"),
        (dict(normal_class='normal'), "no class 'normal'"),
        (dict(classes=['Normal']), 'needs an abnormal class'),
        (dict(templates=['no place']), 'one {} for the phrase'),
        (dict(score_window=2), 'odd and positive, got 2'),
        (dict(cells=-1), 'cells must be 0'),
        (dict(cells=2, score_window=3), 'cannot be set with cells'),
        (dict(cells=2, video_reference=1.5), 'video_reference is a share, 0..1; got 1.5'),
        (dict(video_reference=0.5), 'video_reference is for scores of cells'),
        (dict(cell_level=1.5), 'cell_level is a cosine similarity'),
        (dict(prompts={'Fighting': 'people fighting'}), 'must be a list of phrases'),
    ],
)
def test_invalid_options_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        PromptScoringHead(**{'classes': CLASSES, **options})


def test_cells_by_hand():
    """Of a 2 x 3 map, the two cells are the means of the left and of the right square; b, c and d are abnormal."""
    head, identity = _head(cells=1), torch.nn.Identity()
    dense = torch.zeros(1, 4, 2, 3)
    dense[0, 0, :, 0] = 2.0  # 'a' on the left
    dense[0, 2, :, 2] = 2.0  # 'c' on the right
    dense[0, 3, 0, 1] = 2.0  # 'd' in between
    cells = torch.stack([(dense[0, :, :, i] + dense[0, :, :, i + 1]).sum(1) / 4 for i in (0, 1)])
    cosines = F.normalize(cells, dim=1)
    found = head.of_cells(dense, identity, torch.eye(4))
    torch.testing.assert_close(found, cosines.amax(0, keepdim=True))
    both = _head(cells=9).of_cells(dense, identity, torch.eye(4))
    torch.testing.assert_close(both, cosines.mean(0, keepdim=True))


def test_scores_of_cells_by_hand():
    """The normal class has the logit 0, and normal phrases play no role; all classes have the sum 1."""
    head = _head(cells=1, cell_level=0.25)
    abnormal = ~head.is_normal
    cosines = torch.tensor([[0.9, -0.5, 0.75, 0.5], [0.25, 0.25, 0.25, 0.25]])
    logits = 4 * (cosines - 0.25)
    found, scores = head.score_cells(cosines, 4.0)
    torch.testing.assert_close(found, logits[:, abnormal].exp().sum(1).log())
    shares = torch.where(abnormal, logits.exp(), 0.0) @ head.is_of_class.T.float()
    shares[:, head.classes.index('Normal')] = 1.0
    torch.testing.assert_close(scores, shares / shares.sum(1, keepdim=True))


def test_video_reference_by_hand():
    """Of five frames the second lowest cosine is the lower quartile; half of it is subtracted, per prompt."""
    usual = torch.tensor([0.0, 0.4, 0.2, 0.6])
    rows = [usual + 0.1, usual, usual + 0.3, usual - 0.2, usual + 0.2]
    found, scores = _head(cells=1, cell_level=0.25, video_reference=0.5).score_cells(torch.stack(rows), 4.0)
    wanted, shares = _head(cells=1, cell_level=0.25).score_cells(torch.stack([row - 0.5 * usual for row in rows]), 4.0)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(scores, shares)


def test_other_prompts_keep_the_options_of_cells():
    head = _head(cells=3, cell_level=0.25, video_reference=0.5).with_prompts(['smoke'])
    assert (head.cells, head.cell_level, head.video_reference) == (3, 0.25, 0.5)


def test_every_frame_by_hand():
    out = to_every_frame(torch.tensor([1.0, 3.0, 0.0]), np.array([1, 3, 6]), 8)
    torch.testing.assert_close(out, torch.tensor([1.0, 1, 2, 3, 2, 1, 0, 0]))


def test_every_frame_of_a_video_shorter_than_the_sampling():
    out = to_every_frame(torch.tensor([1.0, 3.0, 5.0]), np.array([0, 0, 1]), 2)
    assert out.tolist() == [2.0, 5.0]
