import torch.nn.functional as F
from torch import Tensor


def correlative_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention by similarity among queries and among keys: ``(softmax(Q Q' / sqrt(c)) + softmax(K K' / sqrt(c))) V``.

    Wang et al., "SCLIP: Rethinking Self-Attention for Dense Vision-Language Inference", 2024, arXiv:2312.01597, eq. 3.
    In the last block of CLIP's vision tower, each patch keeps its own local feature, which can be compared with texts.

    Args:
        query (Tensor): Shape (..., l, c).
        key (Tensor): Shape (..., l, c).
        value (Tensor): Shape (..., l, c).

    Returns:
        Tensor: Shape (..., l, c).
    """
    by_query = F.scaled_dot_product_attention(query, query, value)
    return by_query + F.scaled_dot_product_attention(key, key, value)
