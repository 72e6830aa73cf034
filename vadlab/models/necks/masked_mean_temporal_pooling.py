from torch import Tensor, nn

from vadlab.registry import MODELS


@MODELS.register_module()
class MaskedMeanTemporalPooling(nn.Module):
    """Average only the frames in which a region has a box.

    Frames without one are left out rather than averaged as zeros, and a region without a single frame is reported, so
    that the loss can leave it out too.
    """

    def forward(self, feats: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Pool over the marked frames.

        Args:
            feats (Tensor): Frame features, floating point, shape (R, T, D). What is not marked may hold anything, NaN
                included.
            mask (Tensor): Frames that count, bool, shape (R, T).

        Returns:
            tuple: Means, float32 or float64, zeros where no frame is marked, shape (R, D); and whether a region has a
            marked frame, bool, shape (R,).

        Raises:
            ValueError: The shapes do not fit.
        """
        if feats.shape[:2] != mask.shape:
            raise ValueError(
                f'MaskedMeanTemporalPooling: features {tuple(feats.shape)} against mask {tuple(mask.shape)}.'
            )
        feats = feats if feats.itemsize > 4 else feats.float()
        kept = feats.masked_fill(~mask[..., None], 0.0)
        count = mask.sum(dim=1, keepdim=True)
        return kept.sum(dim=1) / count.clamp(min=1), count[:, 0] > 0
