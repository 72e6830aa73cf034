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
from vadlab.utils.errors import CheckpointError, ConfigError, DataError, mmdet_missing

from .encoder import Encoder

STRIDE = 32  # the stem halves the size twice, and three stages halve it once each


@MODELS.register_module()
class SpectrogramResNet(Encoder):
    """MMDetection's ResNet on log-mel spectrograms of one channel.

    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385.

    A batch is padded to its longest spectrogram. Columns past a clip's end are set to zero before each convolution and
    pooling, as if the clip were alone. So in evaluation, the tokens of a clip do not depend on the padding. In
    training, the statistics of batch norm include the padding columns; prefer clips of equal length.

    Args:
        depth (int): 18, 34, 50, 101 or 152.
        base_channels (int): Channels after the stem; d is 8 times that, or 32 times from depth 50.
        pretrained (str | None): Weights of an image ResNet with torchvision's names: a file (.pth, .safetensors), or a
            Hugging Face id such as ``timm/resnet18.tv_in1k``. None for random weights.
        stem (str): How the three input channels of pretrained weights are reduced to one: ``mean`` or ``sum``. The sum
            is equivalent to copying the spectrogram to three channels. The factor of 3 between the two matters only if
            batch norm is frozen.
        pooled (bool): Return the mean over a clip's tokens, (a, d).
        frozen (bool): Freeze all weights.

    Raises:
        ConfigError: ``depth`` or ``stem`` is unknown.
        MissingDependencyError: MMDetection is not installed.
        CheckpointError: The weights do not fit the model, or cannot be found.
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
        """Number of bands and times of the tokens of spectrograms (1, f, t)."""
        return math.ceil(shape[-2] / STRIDE), math.ceil(shape[-1] / STRIDE)

    def valid_tokens(self, lengths: Tensor, grid: tuple[int, ...]) -> Tensor:
        """True at tokens that cover a real column, bool, shape (a, n), from the columns before padding, shape (a,)."""
        bands, times = grid
        valid_at = torch.arange(times, device=lengths.device) < _halve(lengths, STRIDE)[:, None]
        return valid_at[:, None].expand(-1, bands, -1).flatten(1)

    def encode(self, spectrograms: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Encode spectrograms.

        Args:
            spectrograms (Tensor): float32, shape (a, 1, f, t).
            lengths (Tensor | None): Number of columns of each spectrogram before padding, int64, shape (a,); None if
                there is no padding.

        Returns:
            Tensor: Shape (a, n, d), bands before times, zeros at tokens of padding only; with ``pooled``, shape (a, d).

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
                # If two strides both leave one column, that column is real for every clip.
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
        """Set columns past each clip's end to zero; after ReLU, zeros do not change the result of max pooling."""
        if not self._lengths:
            return inputs
        (x,) = inputs
        valid_at = torch.arange(x.shape[-1], device=x.device) < self._lengths[x.shape[-1]][:, None]
        return (x.masked_fill(~valid_at[:, None, None], 0),)


def load_resnet(resnet: nn.Module, source: str, stem: str = 'mean') -> None:
    """Load the weights of an image ResNet, without its classifier and with its stem reduced to one channel.

    Args:
        resnet (nn.Module): MMDetection's ResNet, whose weights have torchvision's names.
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
        # Importing MMDetection prints messages and warnings.
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            import mmcv.ops  # noqa: F401 - without them, MMDetection would log advice about CUDA before it fails
            from mmdet.models.backbones import ResNet
    except ImportError as error:
        raise mmdet_missing('SpectrogramResNet', error) from error
    return ResNet(depth, in_channels=1, base_channels=base_channels, out_indices=(3,), norm_eval=False)


def _draw(resnet: nn.Module) -> None:
    """Draw random weights as MMDetection does, without its log entry per tensor."""
    for layer in resnet.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode='fan_out', nonlinearity='relu')


def _halve(lengths: Tensor, stride: int) -> Tensor:
    return (lengths + stride - 1) // stride


def _all_full(lengths: Tensor, columns: int) -> bool:
    """Whether no spectrogram is padded; lengths on the CPU avoid a synchronisation with the device."""
    if bool(((lengths < 1) | (lengths > columns)).any()):
        raise DataError(f'SpectrogramResNet: lengths {lengths.tolist()} are not all in 1..{columns} columns.')
    return bool((lengths == columns).all())
