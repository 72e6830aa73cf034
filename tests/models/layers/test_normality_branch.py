import pytest
import torch
import torch.nn.functional as F

from vadlab.models.layers.normality_branch import AggregationBlock, NormalityBranch, PrototypeBlock
from vadlab.utils.errors import ConfigError


def _noisy(module):
    torch.manual_seed(0)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn(p.shape) * 0.3)
    return module


def test_aggregation_equals_torch_multi_head_attention():
    block = _noisy(AggregationBlock(16))
    attention = torch.nn.MultiheadAttention(16, 8, batch_first=True)
    with torch.no_grad():
        attention.in_proj_weight.copy_(torch.cat([block.query.weight, block.key_value.weight]))
        attention.in_proj_bias.copy_(torch.cat([block.query.bias, block.key_value.bias]))
        attention.out_proj.load_state_dict(block.out.state_dict())
    x, y = torch.randn(2, 3, 16), torch.randn(2, 5, 16)
    normed = block.norm1(y)
    expected = x + attention(block.norm1(x), normed, normed, need_weights=False)[0]
    torch.testing.assert_close(block(x, y), expected + block.mlp(block.norm2(expected)), rtol=1e-4, atol=1e-5)


def test_prototype_block_equals_a_loop_over_heads_without_a_residual():
    block = _noisy(PrototypeBlock(16))
    x, y = torch.randn(1, 4, 16), torch.randn(1, 3, 16)
    key, value = block.key_value(block.norm1(y))[0].chunk(2, dim=-1)
    query = block.query(block.norm1(x))[0]
    parts = []
    for head in range(8):
        of_head = slice(2 * head, 2 * head + 2)
        cosines = F.cosine_similarity(query[:, None, of_head], key[None, :, of_head], dim=-1)
        parts.append((cosines * block.scale[head, 0, 0]).clamp(min=0) @ value[:, of_head])
    mixed = block.out(torch.cat(parts, dim=-1))
    torch.testing.assert_close(block(x, y)[0], mixed + block.mlp(block.norm2(mixed)))


def test_gather_is_the_mean_distance_to_the_nearest_pattern():
    branch = _noisy(NormalityBranch(16, prototypes=3, decoder_layers=1))
    x, normal = torch.randn(2, 6, 16), torch.randn(2, 4, 16)
    rebuilt, gather = branch(x, normal)
    assert rebuilt.shape == x.shape
    patterns = branch.aggregation(branch.prototypes.expand(2, -1, -1), normal)
    nearest = [
        min(1 - F.cosine_similarity(snippet, pattern, dim=0).item() for pattern in of_video)
        for snippets, of_video in zip(normal.detach(), patterns.detach(), strict=True)
        for snippet in snippets
    ]
    assert gather.item() == pytest.approx(sum(nearest) / 8, rel=1e-5)


def test_each_position_is_reconstructed_only_from_its_own_video():
    branch = _noisy(NormalityBranch(16, prototypes=3, decoder_layers=2))
    x, normal = torch.randn(2, 6, 16), torch.randn(2, 4, 16)
    both, _ = branch(x, normal)
    torch.testing.assert_close(branch(x[1:, 2:3], normal[1:])[0], both[1:, 2:3])


def test_channels_that_heads_do_not_divide_are_rejected():
    with pytest.raises(ConfigError, match='dim=12 is not a multiple of its 8 heads'):
        NormalityBranch(12)
