import torch
import torch.nn.functional as F
from torch import nn

from vadlab.models.layers.mlp import MLP
from vadlab.models.layers.two_branch_logits import two_branch_logits


def test_logits_equal_a_loop_over_videos():
    torch.manual_seed(0)
    x, texts = torch.randn(3, 5, 8), torch.randn(4, 8)
    binary_mlp, classifier, text_mlp = MLP(8), nn.Linear(8, 1), MLP(8)
    binary, logits = two_branch_logits(x, texts, binary_mlp, classifier, text_mlp)
    for row, video in enumerate(x):
        scores = classifier(video + binary_mlp(video))[:, 0]
        torch.testing.assert_close(binary[row], scores)
        prompt = texts + F.normalize((scores[:, None] * video).sum(0), dim=0)
        prompt = prompt + text_mlp(prompt)
        expected = F.cosine_similarity(video[:, None], prompt[None], dim=-1) / 0.07
        torch.testing.assert_close(logits[row], expected, rtol=1e-4, atol=1e-4)
