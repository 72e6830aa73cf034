# Shapes: b videos (or chunks of them), p positions for snippets, d channels, k classes (0 is Normal).
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .mlp import MLP

TEMPERATURE = 0.07


def two_branch_logits(
    x_bpd: Tensor, texts_kd: Tensor, binary_mlp: MLP, classifier: nn.Linear, text_mlp: MLP
) -> tuple[Tensor, Tensor]:
    """Logits of VadCLIP's two branches, binary and text-aligned, from adapted CLIP features.

    Wu et al., "VadCLIP", AAAI 2024, arXiv:2308.11681; DSANet uses the same branches. Texts are conditioned on the video
    first: the sum of its snippets, weighted by their binary logits and scaled to unit length, is added to every text.

    Args:
        x_bpd (Tensor): Adapted features at all positions of a video, shape (b, p, d).
        texts_kd (Tensor): Projected texts of the classes, shape (k, d).
        binary_mlp (MLP): MLP with a residual before the classifier.
        classifier (nn.Linear): d channels to 1.
        text_mlp (MLP): MLP with a residual over the conditioned texts.

    Returns:
        tuple[Tensor, Tensor]: Binary logits, shape (b, p), and class logits, cosines / 0.07, shape (b, p, k).
    """
    # classifier(x + mlp(x)), with the MLP's last layer multiplied into the classifier.
    weight_d, last = classifier.weight[0], binary_mlp.fc2
    binary_bp = x_bpd @ weight_d + binary_mlp.hidden(x_bpd) @ (weight_d @ last.weight)
    binary_bp = binary_bp + (last.bias @ weight_d + classifier.bias)

    video_bd = F.normalize((binary_bp[:, None] @ x_bpd)[:, 0], dim=-1)
    texts_bkd = texts_kd + video_bd[:, None]
    texts_bkd = F.normalize(texts_bkd + text_mlp(texts_bkd), dim=-1)
    norms_bp1 = torch.linalg.vector_norm(x_bpd, dim=-1, keepdim=True)
    return binary_bp, x_bpd @ texts_bkd.mT / (norms_bp1 * TEMPERATURE)
