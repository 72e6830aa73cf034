import torch
import torch.nn.functional as F
from torch import Tensor


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
    """Scaled dot-product attention (Vaswani et al., 2017, arXiv:1706.03762, section 3.2.1) by torch's fused kernel.

    On a CPU, its backward pass in bfloat16 takes twice as long as in float32, so training computes in float32 inside;
    this is also more exact. On other devices, and without gradients, it computes in the type of the inputs.

    Args:
        query (Tensor): Queries, shape (..., q, c).
        key (Tensor): Keys, shape (..., k, c).
        value (Tensor): Values, shape (..., k, c).
        mask (Tensor | None): Keys that may be attended to, bool, broadcast to shape (..., q, k); None for all.
        causal (bool): A query sees only the keys up to its own position.

    Returns:
        Tensor: Shape (..., q, c), type of the queries.
    """
    half = query.dtype in (torch.bfloat16, torch.float16)
    if half and query.device.type == 'cpu' and torch.is_grad_enabled():
        with torch.autocast('cpu', enabled=False):
            query_f, key_f, value_f = (x.float() for x in (query, key, value))
            return F.scaled_dot_product_attention(query_f, key_f, value_f, mask, is_causal=causal).to(query.dtype)
    return F.scaled_dot_product_attention(query, key, value, mask, is_causal=causal)
