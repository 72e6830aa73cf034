# Shapes: a clips with sound, f mel bands, t columns of time, n tokens (a grid of f' by t'), d channels.
import contextlib
import io
import math
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vadlab.checkpoints.hub import hub_folder
from vadlab.checkpoints.tensor_files import read_tensor_file
from vadlab.checkpoints.weights import check_weights, weights_in
from vadlab.registry import MODELS
from vadlab.utils.errors import CheckpointError, ConfigError, DataError, MissingDependencyError

from .encoder import Encoder

STRIDE = 32  # the stem halves twice, and three of the stages once


@MODELS.register_module()
class SpectrogramResNet(Encoder):
    """MMDetection's ResNet on log-mel spectrograms of one channel.

    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385.

    A batch is padded to its longest spectrogram. Columns past a clip's end are set to zero before each convolution and
    pooling, which is what these see past the end of a spectrogram alone; so in evaluation a clip's tokens are those
    that it has alone, whatever the padding holds. While batch norm learns, its statistics count the columns of padding
    (as zeros' images), as they count other clips: there, clips of equal length are better.

    Args:
        depth (int): 18, 34, 50, 101 or 152.
        base_channels (int): Channels after the stem; d is 8 times that, or 32 times from depth 50.
        pretrained (str | None): Weights of a picture's ResNet with torchvision's names: a file (.pth, .safetensors), or
            a Hugging Face id such as ``timm/resnet18.tv_in1k``. None draws random ones.
        stem (str): What becomes of three input channels of pretrained weights: their ``mean``, or their ``sum``, which
            is what a spectrogram copied to three channels would see. Batch norm takes the factor of 3 away where it
            learns, not where it is frozen.
        pooled (bool): Give the mean over a clip's tokens, (a, d).
        frozen (bool): Learn nothing.

    Raises:
        ConfigError: An unknown ``depth`` or ``stem``.
        MissingDependencyError: MMDetection is not installed.
        CheckpointError: The weights do not fit, or cannot be had.
    """

    def __init__(
        self,
        depth: int = 18,
        base_channels: int = 64,
        pretrained: str | None = None,
        stem: str = 'mean',
        pooled: bool = False,
        frozen: bool = False,
    ) -> None:
        super().__init__(pooled)
        if depth not in (18, 34, 50, 101, 152) or stem not in ('mean', 'sum'):
            raise ConfigError(
                f'SpectrogramResNet: depth={depth} must be 18, 34, 50, 101 or 152, stem={stem!r} mean or sum.'
            )
        self.resnet = _build(depth, base_channels)
        self.width = self.resnet.feat_dim
        self.pretrained = pretrained
        self._lengths: dict[int, Tensor] = {}
        for layer in self.resnet.modules():
            if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
                layer.register_forward_pre_hook(self._clear_padding)
        if pretrained is None:
            _draw(self.resnet)
        else:
            load_resnet(self.resnet, pretrained, stem)
        if frozen:
            self.freeze()

    def token_grid(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Bands and times of the tokens of spectrograms (1, f, t)."""
        return math.ceil(shape[-2] / STRIDE), math.ceil(shape[-1] / STRIDE)

    def valid_tokens(self, lengths: Tensor, grid: tuple[int, ...]) -> Tensor:
        """Which tokens see a column of the clip, bool, shape (a, n), for its columns (a,) before padding."""
        bands, times = grid
        valid_at = torch.arange(times, device=lengths.device) < _halve(lengths, STRIDE)[:, None]
        return valid_at[:, None].expand(-1, bands, -1).flatten(1)

    def encode(self, spectrograms: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Encode spectrograms.

        Args:
            spectrograms (Tensor): float32, shape (a, 1, f, t).
            lengths (Tensor | None): Columns of each that are no padding, int64, shape (a,); None for all.

        Returns:
            Tensor: Shape (a, n, d), bands before times, zeros where there is padding only; or with ``pooled`` (a, d).

        Raises:
            DataError: The spectrograms have another shape, or a length is not in 1..t.
        """
        if spectrograms.ndim != 4 or spectrograms.shape[1] != 1:
            raise DataError(
                f'SpectrogramResNet: spectrograms of shape {tuple(spectrograms.shape)}; '
                'wanted (clips, 1, bands, times).'
            )
        columns = spectrograms.shape[-1]
        self._lengths = {}
        if lengths is not None and not _all_full(lengths, columns):
            lengths = lengths.to(spectrograms.device)
            for stride in (1, 2, 4, 8, 16, 32):
                # Where two strides leave one column, it is the clip's.
                self._lengths[math.ceil(columns / stride)] = _halve(lengths, stride)
        feats_adft = self.resnet(spectrograms)[-1]
        if self._lengths:
            feats_adft = self._clear_padding(None, (feats_adft,))[0]
        tokens_and = feats_adft.flatten(2).transpose(1, 2)
        if not self.pooled:
            return tokens_and
        if not self._lengths:
            return tokens_and.mean(1)
        return tokens_and.sum(1) / (_halve(lengths, STRIDE) * feats_adft.shape[2])[:, None]

    def _clear_padding(self, layer: nn.Module | None, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Zeros past each clip's end; after ReLU they are to max pooling what is not there."""
        if not self._lengths:
            return inputs
        (x,) = inputs
        valid_at = torch.arange(x.shape[-1], device=x.device) < self._lengths[x.shape[-1]][:, None]
        return (x.masked_fill(~valid_at[:, None, None], 0),)


def load_resnet(resnet: nn.Module, source: str, stem: str = 'mean') -> None:
    """Load a picture's ResNet, its classifier left out and its stem reduced to one channel.

    Args:
        resnet (nn.Module): MMDetection's, which names its weights as torchvision does.
        source (str): A file, or a Hugging Face id.
        stem (str): ``mean`` or ``sum`` over the input channels of the first convolution.

    Raises:
        CheckpointError: See :class:`SpectrogramResNet`.
    """
    content, _ = read_tensor_file(_find(source))
    state = {name: value for name, value in weights_in(content, source).items() if not name.startswith('fc.')}
    first = state.get('conv1.weight')
    if isinstance(first, Tensor) and first.ndim == 4 and first.shape[1] == 3:
        state['conv1.weight'] = getattr(first, stem)(1, keepdim=True)
    check_weights(state, resnet.state_dict(), source)
    try:
        resnet.load_state_dict(state)
    except RuntimeError as error:
        details = ' '.join(line.strip() for line in str(error).splitlines()[1:])
        raise CheckpointError(f'{source} does not fit ResNet-{resnet.depth}: {details[:600]}') from error


def _find(source: str) -> Path:
    path = Path(source).expanduser()
    if path.is_file():
        return path
    if path.suffix in ('.pth', '.pt', '.safetensors', '.bin') or source.count('/') != 1:
        raise CheckpointError(f'ResNet weights {source} do not exist. Give a file, or a Hugging Face id.')
    return hub_folder(source, [('model.safetensors',)]) / 'model.safetensors'


def _build(depth: int, base_channels: int) -> Any:
    try:
        # MMDetection talks while it is imported.
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            from mmdet.models.backbones import ResNet
    except ImportError as error:
        raise MissingDependencyError(
            f'SpectrogramResNet needs MMDetection ({error}). Install it: pip install --no-build-isolation '
            'onedl-mmdetection'
        ) from error
    return ResNet(depth, in_channels=1, base_channels=base_channels, out_indices=(3,), norm_eval=False)


def _draw(resnet: nn.Module) -> None:
    """Random weights as MMDetection draws them; its own ``init_weights`` lists every tensor in the log."""
    for layer in resnet.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode='fan_out', nonlinearity='relu')


def _halve(lengths: Tensor, stride: int) -> Tensor:
    return (lengths + stride - 1) // stride


def _all_full(lengths: Tensor, columns: int) -> bool:
    """Whether nothing is padding; lengths on the CPU tell it without waiting for the device."""
    if bool(((lengths < 1) | (lengths > columns)).any()):
        raise DataError(f'SpectrogramResNet: lengths {lengths.tolist()} are not all in 1..{columns} columns.')
    return bool((lengths == columns).all())
