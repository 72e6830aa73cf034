from torch import Tensor, nn

from vadlab.registry import MODELS


@MODELS.register_module()
class MeanTemporalPooling(nn.Module):
    """Mean over the frames of a video; has no parameters."""

    def forward(self, feats: Tensor) -> Tensor:
        """Pool over time.

        Args:
            feats (Tensor): Frame features, floating point, shape (B, T, D), T > 0.

        Returns:
            Tensor: Shape (B, D); averaged in float32, or float64 for float64 input.

        Raises:
            ValueError: The video has no frame.
        """
        if feats.shape[1] == 0:
            raise ValueError('MeanTemporalPooling: no frame to average.')
        return (feats if feats.is_floating_point() and feats.itemsize > 4 else feats.float()).mean(dim=1)
