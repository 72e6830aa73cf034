import pytest
import torch
import torch.nn.functional as F

from vadlab.models.layers.residual_attention_block import ResidualAttentionBlock
from vadlab.utils.errors import ConfigError


def _block(causal=False):
    torch.manual_seed(0)
    block = ResidualAttentionBlock(16, heads=4, causal=causal)
    block.reset_parameters(layers=2)
    for layer in (block.qkv, block.out, block.fc1, block.fc2, block.norm1, block.norm2):
        torch.nn.init.normal_(layer.bias, std=0.3)
    return block


@pytest.mark.parametrize('causal', [False, True])
def test_equals_torch_multi_head_attention(causal):
    block = _block(causal)
    attention = torch.nn.MultiheadAttention(16, 4, batch_first=True)
    attention.load_state_dict(
        {
            'in_proj_weight': block.qkv.weight,
            'in_proj_bias': block.qkv.bias,
            'out_proj.weight': block.out.weight,
            'out_proj.bias': block.out.bias,
        }
    )
    x = torch.randn(3, 7, 16)
    mask = torch.ones(7, 7, dtype=torch.bool).triu(1) if causal else None
    y = block.norm1(x)
    expected = x + attention(y, y, y, attn_mask=mask, need_weights=False)[0]
    hidden = block.fc1(block.norm2(expected))
    expected = expected + block.fc2(hidden * torch.sigmoid(1.702 * hidden))
    torch.testing.assert_close(block(x), expected, rtol=1e-5, atol=1e-5)


def test_last_block_gives_the_cls_token_of_the_whole_block():
    block = _block()
    x = torch.randn(3, 7, 16)
    cls, dense = block.forward_last(x, None)
    assert dense is None
    torch.testing.assert_close(cls, block(x)[:, 0], rtol=1e-5, atol=1e-5)


def test_dense_patches_do_not_mix():
    block = _block()
    x = torch.randn(3, 7, 16)
    rows = torch.tensor([2, 0])
    dense = block.forward_last(x, rows)[1]
    value = F.linear(block.norm1(x), block.qkv.weight[32:], block.qkv.bias[32:])
    expected = x + block.out(value)
    expected = expected + block.fc2(block.act(block.fc1(block.norm2(expected))))
    torch.testing.assert_close(dense, expected[rows, 1:], rtol=1e-5, atol=1e-5)
    other = x.clone()
    other[:, 3] += 1
    changed = (block.forward_last(other, rows)[1] - dense).abs().amax(dim=(0, 2)) > 1e-6
    assert changed.tolist() == [False, False, True, False, False, False]


def test_heads_must_divide_the_width():
    with pytest.raises(ConfigError, match='width=10 is not a multiple of heads=4'):
        ResidualAttentionBlock(10, 4)
