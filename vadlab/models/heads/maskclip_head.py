# Shapes: b images, p patches, e channels of CLIP's joint space, c concepts of the codebook, k candidates per image.
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError


class NamedPatches(NamedTuple):
    """Concepts assigned to the patches of b images.

    Attributes:
        text_grid (Tensor): Embedding of each patch's concept, divided by (1 + the number of patches that share it),
            shape (b, p, e).
        concepts (Tensor): Index of each patch's concept in the codebook, int64, shape (b, p).
        logits (Tensor): Logits of the image's candidates, float32, shape (b, p, k).
        candidates (Tensor): Indices of the candidates in the codebook, nearest first, int64, shape (b, k).
    """

    text_grid: Tensor
    concepts: Tensor
    logits: Tensor
    candidates: Tensor


@MODELS.register_module()
class MaskCLIPHead(nn.Module):
    """Assigns to each patch one of the concepts that are nearest to the whole image.

    Zhou et al., "Extract Free Dense Labels from CLIP", 2022, arXiv:2112.01071 (MaskCLIP), for the logits; Xu et al.,
    "GroupViT", 2022, arXiv:2202.11094, eq. 5 to 7, for the hard assignment. In training the assignment is a
    straight-through Gumbel softmax (Jang et al., 2017, arXiv:1611.01144), which passes gradients to the patches; in
    testing it is the concept with the highest logit. The head has no parameters.

    Args:
        num_nearest (int): Candidates k per image; all concepts if the codebook has fewer.
        temperature (float): Temperature of the Gumbel softmax.

    Raises:
        ConfigError: ``num_nearest`` is less than 1, or ``temperature`` is not positive.
    """

    def __init__(self, num_nearest: int = 20, temperature: float = 1.0) -> None:
        super().__init__()
        if num_nearest < 1 or temperature <= 0:
            raise ConfigError(
                f'MaskCLIPHead: num_nearest={num_nearest} must be at least 1, temperature={temperature} above 0.'
            )
        self.num_nearest = num_nearest
        self.temperature = temperature

    def forward(
        self, aligned_bpe: Tensor, global_be: Tensor, codebook_ce: Tensor, scale: Tensor | float
    ) -> NamedPatches:
        """Assign a concept to each patch.

        Args:
            aligned_bpe (Tensor): Patches in the joint space, L2-normalised.
            global_be (Tensor): Images in the joint space, L2-normalised.
            codebook_ce (Tensor): Concepts in the joint space, L2-normalised.
            scale (Tensor | float): Factor of the cosine similarities, the *exponential* of CLIP's learnt log.
        """
        nearest = min(self.num_nearest, len(codebook_ce))
        with torch.autocast(aligned_bpe.device.type, enabled=False):  # near ties must be as in testing
            candidates_bk = (global_be.float() @ codebook_ce.float().T).topk(nearest, dim=-1).indices
            concepts_bke = codebook_ce[candidates_bk]
            logits_bpk = aligned_bpe.float() @ concepts_bke.float().transpose(1, 2) * scale
            if self.training:
                assigned_bpk = F.gumbel_softmax(logits_bpk, self.temperature, hard=True)
            else:
                assigned_bpk = F.one_hot(logits_bpk.argmax(-1), nearest).to(logits_bpk.dtype)
        share_bpk = assigned_bpk / (assigned_bpk.sum(1, keepdim=True) + 1)
        concepts_bp = candidates_bk.gather(1, assigned_bpk.argmax(-1))
        return NamedPatches(share_bpk.to(concepts_bke.dtype) @ concepts_bke, concepts_bp, logits_bpk, candidates_bk)
