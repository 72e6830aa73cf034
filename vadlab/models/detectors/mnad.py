# Shapes: b windows, t frames of a window, c image channels, d feature channels, p positions of a feature map.
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.utils.errors import CheckpointError, ConfigError, DataError

from ..layers.normality_memory import NormalityMemory
from .frame_window_detector import FrameWindowDetector, psnr

TASKS = ('prediction', 'reconstruction')


@MODELS.register_module()
class MNAD(FrameWindowDetector):
    """Memory-guided normality: a U-Net predicts (or reconstructs) a frame from features and memory items.

    Park et al., "Learning Memory-guided Normality for Anomaly Detection", CVPR 2020, arXiv:2003.13228; the authors'
    code is https://github.com/cvlab-yonsei/MNAD.

    ::

        4 frames -> encoder -> features (unit length) --+------------------------> decoder with skips -> 5th frame
                                  |                     |
                                  +--> nearest items ---+  memory (10 items, moved towards the features)

        loss_pixel: squared error of the frame        loss_compact: features to their nearest item
        loss_separate: nearest item against the second nearest

    A frame's score has two components: minus its PSNR, and the distance of its features to the nearest items
    (equations 11 to 13). With ``update_threshold``, frames with a low error update the memory during the test of a
    video (section 3.3.2). Each video starts with the trained memory; in the authors' code the memory continues from
    video to video.

    Args:
        task (str): ``prediction`` of the last frame of a window of 5 from the first 4, with skip connections; or
            ``reconstruction`` of single frames, without.
        width (int): Channels of the first stage; 64 in the paper. The memory has eight times as many.
        num_items (int): Memory items, >= 2.
        compact_weight (float): Factor of loss_compact; the code has 0.1, and 0.01 for reconstruction.
        separate_weight (float): Factor of loss_separate; as above.
        psnr_weight (float): Weight of the PSNR in the score, 0..1; the distance has the rest. The code has 0.6, and 0.7
            for reconstruction.
        update_threshold (float | None): A test frame updates the memory if its weighted error is below; the code has
            0.01, and 0.015 for reconstruction. None keeps the trained memory. This is faster, and
            ``normalisation='training'`` requires it: distances to an updated memory are not on the scale of the
            distances in training.
        normalisation (str): See :class:`FrameWindowDetector`.
        chunk_size (int): Frames of a test that are encoded at once.
        data_preprocessor (dict | nn.Module | None): See :class:`FrameWindowDetector`; frames are ``bgr`` by default,
            as in the code.

    Raises:
        ConfigError: An option has an invalid value.
    """

    public_layouts = ('cvlab-yonsei/MNAD',)
    public_rules: ClassVar = {
        'encoder.moduleConv1.0.weight': {
            r'encoder\.moduleConv([1-4])\.(\d)': r'encoder.stages.conv\1.\2',
            r'encoder\.moduleBatchNorm': None,  # is in the checkpoint, but not in the authors' forward pass
            r'decoder\.moduleConv\.(\d)': r'decoder.stages.conv4.\1',
            r'decoder\.moduleDeconv([123])\.(\d)': r'decoder.stages.conv\1.\2',
            r'decoder\.moduleUpsample([234])\.(\d)': r'decoder.stages.up\1.\2',
            'm_items': 'memory.items',
        },
    }

    def __init__(
        self,
        task: str = 'prediction',
        width: int = 64,
        num_items: int = 10,
        compact_weight: float = 0.1,
        separate_weight: float = 0.1,
        psnr_weight: float = 0.6,
        update_threshold: float | None = None,
        normalisation: str = 'training',
        chunk_size: int = 8,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        if task not in TASKS:
            raise ConfigError(f'MNAD: task={task!r} is not one of {", ".join(TASKS)}.')
        if num_items < 2 or not 0 <= psnr_weight <= 1:
            raise ConfigError(
                f'MNAD: num_items must be at least 2 and psnr_weight in 0..1, not {num_items} and {psnr_weight}.'
            )
        self.predicts = task == 'prediction'
        window = 5 if self.predicts else 1
        super().__init__(
            window,
            scored_frame=window - 1,
            weights={'psnr': psnr_weight, 'distance': 1 - psnr_weight},
            normalisation=normalisation,
            data_preprocessor=data_preprocessor or dict(type='FrameWindowPreprocessor', channels='bgr'),
        )
        channels = self.data_preprocessor.num_channels
        self.encoder = Encoder(channels * max(window - 1, 1), width)
        self.decoder = Decoder(channels, width, skips=self.predicts)
        self.memory = NormalityMemory(num_items, 8 * width)
        self.compact_weight = compact_weight
        self.separate_weight = separate_weight
        self.update_threshold = update_threshold
        self.chunk_size = chunk_size

    def loss(self, frames_btchw: Tensor) -> dict[str, Tensor]:
        """Loss terms; in training mode the memory is updated afterwards.

        Returns:
            dict[str, Tensor]: loss_pixel, loss_compact and loss_separate.
        """
        given, target = self._split(frames_btchw)
        features, skips = self.encoder(given)
        query = _queries(features)
        compact, separate = self.memory.losses(query)
        output = self.decoder(_join(query, self.memory.read(query), features), skips)
        if self.training and torch.is_grad_enabled():
            self.memory.items.copy_(self.memory.updated(query))
        return {
            'loss_pixel': F.mse_loss(output, target),
            'loss_compact': self.compact_weight * compact,
            'loss_separate': self.separate_weight * separate,
        }

    @torch.no_grad()
    def components(self, video: Tensor) -> dict[str, Tensor]:
        """Minus the PSNR in dB, and the mean squared distance of features to their nearest items, per frame."""
        items = self.memory.items.clone()
        errors, distances = [], []
        for windows in self.float_windows(video, self.chunk_size):
            given, target = self._split(windows)
            features, skips = self.encoder(given)
            # One after the other if a frame can change the memory that the next one is compared with.
            for part in range(len(features)) if self.update_threshold is not None else [slice(None)]:
                part = slice(part, part + 1) if isinstance(part, int) else part
                query = _queries(features[part])
                read = self.memory.read(query, items)
                output = self.decoder(_join(query, read, features[part]), [skip[part] for skip in skips])
                error_bchw = ((output - target[part]) / 2).square()
                errors.append(error_bchw.mean((1, 2, 3)))
                distances.append(self.memory.distance(query, items).unflatten(0, (len(output), -1)).mean(1))
                if self.update_threshold is not None and _weighted_error(error_bchw) < self.update_threshold:
                    items = self.memory.updated(query, items)
        return {'psnr': -psnr(torch.cat(errors)), 'distance': torch.cat(distances)}

    def from_public(self, tensors: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """Convert a checkpoint of the authors, with the memory items as ``m_items``, which they save in another file.

        Raises:
            CheckpointError: The memory items are missing, or there are unknown tensors.
        """
        renamed = super().from_public(tensors)
        if renamed is not None and 'memory.items' not in renamed:
            raise CheckpointError(
                "A checkpoint in the layout of MNAD's authors has no memory items: they are in a separate file "
                "(keys.pt or m_items.pt). Put both into one file: torch.save({**model.state_dict(), 'm_items': "
                "items}, 'mnad.pth')."
            )
        return renamed

    def _split(self, frames_btchw: Tensor) -> tuple[Tensor, Tensor]:
        """Input of the network, (B, T * C, H, W), and the target frame, (B, C, H, W)."""
        height, width = frames_btchw.shape[-2:]
        if height % 8 or width % 8:
            raise DataError(f'MNAD: frames have {height}x{width} pixels; height and width must be multiples of 8.')
        given = frames_btchw[:, :-1] if self.predicts else frames_btchw
        return given.flatten(1, 2), frames_btchw[:, -1]


class Encoder(nn.Module):
    """Four stages of two convolutions; features of 1/8 of the size, and the first three stages' outputs."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        widths = [in_channels, width, 2 * width, 4 * width, 8 * width]
        self.stages = nn.ModuleDict(
            {f'conv{i}': _two_convolutions(widths[i - 1], widths[i], ends_linear=i == 4) for i in range(1, 5)}
        )

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        skips = []
        for name in ('conv1', 'conv2', 'conv3'):
            images = self.stages[name](images)
            skips.append(images)
            images = F.max_pool2d(images, 2)
        return self.stages['conv4'](images), skips


class Decoder(nn.Module):
    """Decodes features and memory readings to an image in -1..1."""

    def __init__(self, channels: int, width: int, skips: bool) -> None:
        super().__init__()
        self.skips = skips
        self.stages = nn.ModuleDict({'conv4': _two_convolutions(16 * width, 8 * width)})
        for level in (4, 3, 2):
            wide = width << (level - 1)
            self.stages[f'up{level}'] = nn.Sequential(
                nn.ConvTranspose2d(wide, wide // 2 if skips else wide, 3, stride=2, padding=1, output_padding=1),
                nn.BatchNorm2d(wide // 2 if skips else wide),
                nn.ReLU(),
            )
            if level > 2:
                self.stages[f'conv{level - 1}'] = _two_convolutions(wide, wide // 2)
        self.stages['conv1'] = nn.Sequential(
            *_two_convolutions(2 * width, width), nn.Conv2d(width, channels, 3, padding=1), nn.Tanh()
        )

    def forward(self, features: Tensor, skips: list[Tensor]) -> Tensor:
        features = self.stages['conv4'](features)
        for level in (4, 3, 2):
            features = self.stages[f'up{level}'](features)
            if self.skips:
                features = torch.cat([skips[level - 2], features], 1)
            features = self.stages[f'conv{level - 1}'](features)
        return features


def _two_convolutions(in_channels: int, out_channels: int, ends_linear: bool = False) -> nn.Sequential:
    layers = [
        nn.Conv2d(in_channels, out_channels, 3, padding=1),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
        nn.Conv2d(out_channels, out_channels, 3, padding=1),
    ]
    return nn.Sequential(*layers, *([] if ends_linear else [nn.BatchNorm2d(out_channels), nn.ReLU()]))


def _queries(features_bdhw: Tensor) -> Tensor:
    """Features of unit length at all positions, at least float32, shape (b * p, d)."""
    features_bdhw = features_bdhw.to(torch.promote_types(features_bdhw.dtype, torch.float32))
    return F.normalize(features_bdhw, dim=1).permute(0, 2, 3, 1).flatten(0, 2)


def _join(query: Tensor, read: Tensor, features: Tensor) -> Tensor:
    """Queries and their memory readings, concatenated to a feature map of twice the channels."""
    b, _, h, w = features.shape
    return torch.cat([query, read], 1).unflatten(0, (b, h, w)).permute(0, 3, 1, 2)


def _weighted_error(error_bchw: Tensor) -> float:
    """Error of a frame in which large errors count more (equation 10, in the code's form)."""
    weight = 1 - torch.exp(-error_bchw)
    return float((weight * error_bchw).sum() / weight.sum().clamp_min(torch.finfo(torch.float32).tiny))
