# Shapes: b images, p patches, e channels of CLIP's common space, c concepts of the codebook, k of them for an image.
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError


class NamedPatches(NamedTuple):
    """What the patches of b images were called.

    Attributes:
        text_grid (Tensor): Each patch's concept, divided by the number of patches that share it plus one, shape
            (b, p, e).
        concepts (Tensor): Index into the codebook, int64, shape (b, p).
        logits (Tensor): Of the image's candidates, float32, shape (b, p, k).
        candidates (Tensor): Their indices into the codebook, the nearest first, int64, shape (b, k).
    """

    text_grid: Tensor
    concepts: Tensor
    logits: Tensor
    candidates: Tensor


@MODELS.register_module()
class MaskCLIPHead(nn.Module):
    """Gives each patch of an image one of the concepts that are nearest to the whole image.

    Zhou et al., "Extract Free Dense Labels from CLIP", 2022, arXiv:2112.01071 (MaskCLIP), for the logits; Xu et al.,
    "GroupViT", 2022, arXiv:2202.11094, eq. 5 to 7, for the hard assignment. In training the assignment is a
    straight-through Gumbel softmax (Jang et al., 2017, arXiv:1611.01144), which lets gradients reach the patches; in
    testing it is the likeliest concept. There is nothing to learn here.

    Args:
        num_nearest (int): Candidates k of an image; all concepts where the codebook has fewer.
        temperature (float): Of the Gumbel softmax.

    Raises:
        ConfigError: No candidate, or a temperature that is not positive.
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
        """Name patches.

        Args:
            aligned_bpe (Tensor): Patches in the common space, L2-normalised.
            global_be (Tensor): Images in it, L2-normalised.
            codebook_ce (Tensor): Concepts in it, L2-normalised.
            scale (Tensor | float): Factor of the cosine similarities, the *exponential* of CLIP's learnt log.
        """
        nearest = min(self.num_nearest, len(codebook_ce))
        with torch.autocast(aligned_bpe.device.type, enabled=False):  # else near ties would be others than in testing
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
