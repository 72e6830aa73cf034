from torch import Tensor, nn

from vadlab.registry import MODELS


@MODELS.register_module()
class MaskedMeanTemporalPooling(nn.Module):
    """Mean over the frames in which a region has a box.

    Frames without a box are skipped, not averaged as zeros. Regions without any box are marked, so that the loss can
    skip them.
    """

    def forward(self, feats: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Pool over the marked frames.

        Args:
            feats (Tensor): Frame features, floating point, shape (R, T, D). Unmarked frames may hold any value,
                including NaN.
            mask (Tensor): True at the frames to average, bool, shape (R, T).

        Returns:
            tuple: Means, float32 or float64, zeros for regions without a marked frame, shape (R, D); and whether each
            region has a marked frame, bool, shape (R,).

        Raises:
            ValueError: The shapes do not match.
        """
        if feats.shape[:2] != mask.shape:
            raise ValueError(
                f'MaskedMeanTemporalPooling: features {tuple(feats.shape)} against mask {tuple(mask.shape)}.'
            )
        feats = feats if feats.itemsize > 4 else feats.float()
        kept = feats.masked_fill(~mask[..., None], 0.0)
        count = mask.sum(dim=1, keepdim=True)
        return kept.sum(dim=1) / count.clamp(min=1), count[:, 0] > 0
