# Shapes: b windows, t frames of a window, c image channels, d feature channels.
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.utils.errors import DataError

from ..layers.sparse_memory import SparseMemory, attention_entropy
from .frame_window_detector import FrameWindowDetector


@MODELS.register_module()
class MemAE(FrameWindowDetector):
    """Memory-augmented autoencoder: windows of frames are reconstructed from items of a learnt memory.

    Gong et al., "Memorizing Normality to Detect Anomaly: Memory-augmented Deep Autoencoder for Unsupervised Anomaly
    Detection", ICCV 2019, arXiv:1904.02639; the authors' code is
    https://github.com/donggong1/memae-anomaly-detection.

    ::

        16 frames -> 3D encoder -> features -> sparse combination of 2000 memory items -> 3D decoder -> 16 frames

        loss_pixel: squared error        loss_entropy: entropy of the attention weights

    The score of a window is its mean absolute error, and belongs to its ninth frame, as in the code.

    Args:
        width (int): A quarter of the channels of the features, a multiple of 8; 64 in the paper.
        num_items (int): Memory items.
        window (int): Frames per window, a multiple of 8; 16 in the paper.
        shrink_threshold (float): See :class:`~vadlab.models.layers.SparseMemory`.
        entropy_weight (float): Factor of loss_entropy.
        normalisation (str): See :class:`FrameWindowDetector`.
        window_stride (int): See :class:`FrameWindowDetector`; the code scores every window.
        chunk_size (int): Windows of a test that are computed at once.
        data_preprocessor (dict | nn.Module | None): See :class:`FrameWindowDetector`; frames are ``grey`` by default,
            as in the code.

    Raises:
        ConfigError: An option has an invalid value.
    """

    public_layouts = ('donggong1/memae-anomaly-detection',)
    public_rules: ClassVar = {
        'mem_rep.memory.weight': {
            r'encoder\.(\d+)': r'encoder.\1',
            r'decoder\.(\d+)': r'decoder.\1',
            r'mem_rep\.memory': 'memory',
        },
    }

    def __init__(
        self,
        width: int = 64,
        num_items: int = 2000,
        window: int = 16,
        shrink_threshold: float = 0.0025,
        entropy_weight: float = 2e-4,
        normalisation: str = 'training',
        window_stride: int = 1,
        chunk_size: int = 4,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        super().__init__(
            window,
            scored_frame=window // 2,
            weights={'error': 1.0},
            normalisation=normalisation,
            window_stride=window_stride,
            data_preprocessor=data_preprocessor or dict(type='FrameWindowPreprocessor', channels='grey'),
        )
        channels, features = self.data_preprocessor.num_channels, 4 * width
        widths = [channels, features * 3 // 8, features // 2, features, features]  # 96, 128, 256, 256
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for i in range(1, 5):
            stride = (1, 2, 2) if i == 1 else (2, 2, 2)
            down += [nn.Conv3d(widths[i - 1], widths[i], 3, stride, padding=1), *_norm(widths[i])]
        for i in range(4, 0, -1):
            stride = (1, 2, 2) if i == 1 else (2, 2, 2)
            extra = tuple(s - 1 for s in stride)
            up += [nn.ConvTranspose3d(widths[i], widths[i - 1], 3, stride, padding=1, output_padding=extra)]
            up += _norm(widths[i - 1]) if i > 1 else []
        self.encoder = nn.Sequential(*down)
        self.memory = SparseMemory(num_items, features, shrink_threshold)
        self.decoder = nn.Sequential(*up)
        for module in self.modules():
            if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
                nn.init.normal_(module.weight, 0.0, 0.02)
            elif isinstance(module, nn.BatchNorm3d):
                nn.init.normal_(module.weight, 1.0, 0.02)
        self.entropy_weight = entropy_weight
        self.chunk_size = chunk_size

    def rebuild(self, frames_btchw: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstructed windows, shape (B, T, C, H, W), and attention weights, shape (positions, items).

        Raises:
            DataError: Frames of a window, height or width are not multiples of 8, 16 and 16.
        """
        _, t, _, height, width = frames_btchw.shape
        if t % 8 or height % 16 or width % 16:
            raise DataError(
                f'MemAE: windows have {t} frames of {height}x{width} pixels; frames must be a multiple of 8, height '
                'and width of 16.'
            )
        features = self.encoder(frames_btchw.transpose(1, 2))
        read, attention = self.memory(features.movedim(1, -1).flatten(0, 3))
        b, _, *place = features.shape
        rebuilt = self.decoder(read.unflatten(0, (b, *place)).movedim(-1, 1))
        return rebuilt.transpose(1, 2), attention

    def loss(self, frames_btchw: Tensor) -> dict[str, Tensor]:
        """Loss terms.

        Returns:
            dict[str, Tensor]: loss_pixel and loss_entropy.
        """
        rebuilt, attention = self.rebuild(frames_btchw)
        return {
            'loss_pixel': F.mse_loss(rebuilt, frames_btchw),
            'loss_entropy': self.entropy_weight * attention_entropy(attention.float()),
        }

    @torch.no_grad()
    def components(self, video: Tensor) -> dict[str, Tensor]:
        """Mean over pixels of the length of the error over channels, per window."""
        errors = []
        for windows in self.float_windows(video, self.chunk_size):
            rebuilt, _ = self.rebuild(windows)
            errors.append((rebuilt - windows).square().sum(2).sqrt().mean((1, 2, 3)))
        return {'error': torch.cat(errors)}


def _norm(width: int) -> list[nn.Module]:
    return [nn.BatchNorm3d(width), nn.LeakyReLU(0.2)]
