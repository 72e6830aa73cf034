import math

import torch

from vadlab.models.layers.global_local_block import GlobalLocalBlock, sum_nearby


def test_block_equals_attention_with_explicit_matrices():
    torch.manual_seed(0)
    block = GlobalLocalBlock(dim=6, heads=2, head_dim=3, mlp_dim=4, dropout=0.0)
    x = torch.randn(1, 5, 6)
    query, key, value, local = block.qkvl(block.norm1(x))[0].view(5, 4, 2, 3).unbind(1)
    nearness = torch.tensor([[math.exp(-abs(i - j) / math.e) for j in range(5)] for i in range(5)])
    nearness = nearness / nearness.sum(0, keepdim=True)  # columns sum to 1
    heads = []
    for h in range(2):
        weights = (query[:, h] @ key[:, h].T / math.sqrt(3)).softmax(-1)
        heads.append(torch.cat([weights @ value[:, h], nearness @ local[:, h]], dim=-1))
    expected = x + block.out(torch.cat(heads, dim=-1))
    expected = expected + block.mlp(block.norm2(expected))
    torch.testing.assert_close(block(x, torch.ones(1, 5, dtype=torch.bool)), expected)


def test_sum_nearby_of_long_videos_in_parts_equals_one_matrix():
    values = torch.randn(2, 2500, 3, generator=torch.Generator().manual_seed(0))
    steps = torch.arange(2500.0)
    expected = (-(steps - steps[:, None]).abs() / math.e).exp() @ values
    torch.testing.assert_close(sum_nearby(values), expected, rtol=1e-5, atol=1e-5)
