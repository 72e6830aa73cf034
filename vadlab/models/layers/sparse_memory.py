# Shapes: n positions of feature maps, m items, d channels.
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SparseMemory(nn.Module):
    """Learnt memory that replaces each feature by a sparse combination of items.

    Gong et al., "Memorizing Normality to Detect Anomaly: Memory-augmented Deep Autoencoder for Unsupervised Anomaly
    Detection", ICCV 2019, arXiv:1904.02639, equations 3 to 7; the authors' code is
    https://github.com/donggong1/memae-anomaly-detection. As in the code, and unlike equation 4, features and items are
    compared by their dot product, not by its cosine.

    Args:
        num_items (int): Items m.
        width (int): Channels d.
        shrink_threshold (float): Attention weights below it become 0, >= 0; the others are scaled to sum 1. 0 keeps
            all.
    """

    def __init__(self, num_items: int, width: int, shrink_threshold: float = 0.0025) -> None:
        super().__init__()
        self.shrink_threshold = shrink_threshold
        bound = 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(num_items, width).uniform_(-bound, bound))

    def forward(self, features_nd: Tensor) -> tuple[Tensor, Tensor]:
        """Combinations of items, shape (n, d), and the attention weights, shape (n, m)."""
        attention_nm = (features_nd @ self.weight.T).softmax(1)
        if self.shrink_threshold > 0:
            above_nm = attention_nm - self.shrink_threshold
            attention_nm = F.relu(above_nm) * attention_nm / (above_nm.abs() + 1e-12)
            attention_nm = F.normalize(attention_nm, p=1, dim=1)
        return attention_nm @ self.weight, attention_nm


def attention_entropy(attention_nm: Tensor) -> Tensor:
    """Mean entropy of attention weights over positions (equation 9), in nats, a number."""
    return -(attention_nm * (attention_nm + 1e-12).log()).sum(1).mean()
