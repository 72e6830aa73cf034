import torch

from vadlab.models.layers.layer_norm import LayerNorm


def test_float32_equals_torch():
    x = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(LayerNorm(16)(x), torch.nn.LayerNorm(16)(x), rtol=0, atol=0)


def test_bfloat16_is_computed_in_float32():
    x = (100 + torch.randn(8, 64, generator=torch.Generator().manual_seed(0))).bfloat16()
    norm = LayerNorm(64)
    out = norm(x)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out, torch.nn.LayerNorm(64)(x.float()).bfloat16(), rtol=0, atol=0)
    half = norm.bfloat16()(x)  # weights in half precision too
    torch.testing.assert_close(half, out, rtol=0, atol=0)
