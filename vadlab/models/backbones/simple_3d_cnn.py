# Shapes: b clips, t frames, n tokens (a grid of times, rows and columns), d channels.
import math
from collections.abc import Sequence

from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError, DataError

from .encoder import Encoder


@MODELS.register_module()
class Simple3DCNN(Encoder):
    """Small 3-D CNN, for small data sets and without pretrained weights.

    Each stage is a 3 x 3 x 3 convolution, a norm, and ReLU. Height and width are halved in each stage; time is divided
    by the stage's entry in ``strides``.

    Args:
        channels (Sequence[int]): Channels after each stage, multiples of 8; the last is d.
        strides (Sequence[int]): Temporal stride of each stage.
        norm (str): ``group``: group norm, independent of the batch. ``batch``: batch norm; it needs batches of at least
            8 clips, and learns motion in half of the epochs if nearly all of the picture is static.
        pooled (bool): Return the mean over tokens, (b, d).
        frozen (bool): Freeze all weights.

    Raises:
        ConfigError: ``channels`` are not multiples of 8, the number of ``strides`` differs, or ``norm`` is unknown.
    """

    def __init__(
        self,
        channels: Sequence[int] = (32, 64, 128, 256),
        strides: Sequence[int] = (1, 2, 2, 1),
        norm: str = 'group',
        pooled: bool = False,
        frozen: bool = False,
    ) -> None:
        super().__init__(pooled)
        if not channels or len(channels) != len(strides) or any(c % 8 or c < 8 for c in channels):
            raise ConfigError(
                f'Simple3DCNN: channels={tuple(channels)} must be multiples of 8, and strides={tuple(strides)} as many.'
            )
        if norm not in ('group', 'batch'):
            raise ConfigError(f'Simple3DCNN: {norm=} must be group or batch.')
        self.strides = tuple(strides)
        self.width = channels[-1]
        stages = []
        for before, after, stride in zip((3, *channels), channels, strides, strict=False):
            convolution = nn.Conv3d(before, after, 3, stride=(stride, 2, 2), padding=1, bias=False)
            nn.init.kaiming_normal_(convolution.weight, mode='fan_out', nonlinearity='relu')
            layer = nn.GroupNorm(8, after) if norm == 'group' else nn.BatchNorm3d(after)
            stages.append(nn.Sequential(convolution, layer, nn.ReLU(inplace=True)))
        self.stages = nn.Sequential(*stages)
        if frozen:
            self.freeze()

    def token_grid(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Number of times, rows and columns of the tokens of clips (t, 3, h, w)."""
        times, (rows, columns) = shape[0], shape[-2:]
        for stride in self.strides:
            times, rows, columns = math.ceil(times / stride), math.ceil(rows / 2), math.ceil(columns / 2)
        return times, rows, columns

    def encode(self, clips: Tensor) -> Tensor:
        """Encode clips.

        Args:
            clips (Tensor): Normalised frames, shape (b, t, 3, h, w), of any length and size.

        Returns:
            Tensor: Shape (b, n, d), times before rows before columns; or (b, d) with ``pooled``.

        Raises:
            DataError: The clips have another shape.
        """
        if clips.ndim != 5 or clips.shape[2] != 3:
            raise DataError(f'Simple3DCNN: clips of shape {tuple(clips.shape)}; wanted (clips, frames, 3, h, w).')
        tokens_bnd = self.stages(clips.transpose(1, 2)).flatten(2).transpose(1, 2)
        return tokens_bnd.mean(1) if self.pooled else tokens_bnd
