# Shapes: b clips of the batch, m of them with a modality, n tokens, k bottleneck tokens, d width.
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

from ..layers.grid_positions import grid_positions
from ..layers.modality_mean import ModalityMean
from ..layers.modality_tokens import ModalityTokens


@MODELS.register_module()
class MBT(nn.Module):
    """Multimodal Bottleneck Transformer: modalities exchange what fits into a few shared tokens.

    Nagrani et al., "Attention Bottlenecks for Multimodal Fusion", NeurIPS 2021, arXiv:2107.00135, equations 8 and 9:
    in a layer of fusion each modality attends to its own tokens and to the bottleneck, by weights of its own; all see
    the same incoming bottleneck, which becomes the mean of what they made of it. Layers before the fusion layer attend
    within a modality alone.

    ::

        video  [cls | tokens] -+- layers of video -+- ... -> cls -+
               [ bottleneck ]  |       mean        |              +- mean -> feature
        audio  [cls | tokens] -+- layers of audio -+- ... -> cls -+

    Beyond the paper: a clip may lack a modality. Its tokens are then not there, rather than zeros: means are taken over
    the modalities that a clip has, and only rows that exist pass a layer. A clip with none comes out as zeros. The
    paper averages the classifier's logits over modalities; for a linear one, the mean of what it reads is the same.

    Args:
        in_channels (Mapping[str, int]): Channels of each modality's tokens.
        width (int): Channels d.
        layers (int): Layers in all.
        heads (int): Attention heads, a divisor of ``width``.
        bottlenecks (int): Bottleneck tokens k.
        fusion_layer (int): The first layer (from 0) with bottlenecks, below ``layers``.
        mlp_ratio (float): Hidden width of the MLPs by d.
        dropout (float): After attention and inside the MLPs, 0..1.
        readout (str): What of a modality is read in the end: ``cls``, a token of its own, or the ``mean`` of its
            tokens. A pooled modality is a sequence of one token, where ``mean`` is that token.
        positions (bool): Add sine-cosine positions to tokens: convolutions do not say where theirs lie.

    Raises:
        ConfigError: Numbers that do not fit.
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        width: int = 512,
        layers: int = 2,
        heads: int = 8,
        bottlenecks: int = 4,
        fusion_layer: int = 0,
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        readout: str = 'cls',
        positions: bool = True,
    ) -> None:
        super().__init__()
        if not 0 <= fusion_layer < layers or bottlenecks < 1 or width % heads:
            raise ConfigError(
                f'MBT: {fusion_layer=} must be in 0..layers - 1 = {layers - 1}, {bottlenecks=} at least 1, and '
                f'{width=} a multiple of {heads=}. For modalities that meet after all layers, use LateFusion.'
            )
        if readout not in ('cls', 'mean'):
            raise ConfigError(f'MBT: readout={readout!r} must be cls or mean.')
        self.width = width
        self.fusion_layer = fusion_layer
        self.readout = readout
        self.positions = positions
        self.projections = nn.ModuleDict({name: nn.Linear(channels, width) for name, channels in in_channels.items()})
        self.bottleneck = nn.Parameter(0.02 * torch.randn(bottlenecks, width))
        self.cls = nn.ParameterDict()
        if readout == 'cls':
            self.cls = nn.ParameterDict({name: nn.Parameter(0.02 * torch.randn(width)) for name in in_channels})

        def layer() -> nn.Module:
            return nn.TransformerEncoderLayer(
                width, heads, round(mlp_ratio * width), dropout, 'gelu', batch_first=True, norm_first=True
            )

        self.layers = nn.ModuleDict({name: nn.ModuleList(layer() for _ in range(layers)) for name in in_channels})
        self.norms = nn.ModuleDict({name: nn.LayerNorm(width) for name in in_channels})

    def forward(self, found: Mapping[str, ModalityTokens], batch_size: int) -> Tensor:
        """Fuse.

        Args:
            found (Mapping[str, ModalityTokens]): The modalities that some clip of the batch has.
            batch_size (int): Clips b.

        Returns:
            Tensor: A feature a clip, shape (b, d); zeros for a clip without any modality.
        """
        state = {name: self.embed(name, modality) for name, modality in found.items()}
        masks = {name: self._padding(modality) for name, modality in found.items()}
        bottleneck_bkd = self.bottleneck.expand(batch_size, -1, -1)
        for number in range(len(next(iter(self.layers.values())))):
            if number < self.fusion_layer:
                for name in state:
                    state[name] = self._attend(name, number, state[name], masks[name])
            else:
                bottleneck_bkd = self.fuse(number, state, masks, bottleneck_bkd, found)
        mean = ModalityMean(batch_size)
        for name, state_mnd in state.items():
            mean.add(self._read(self.norms[name](state_mnd), masks[name]), found[name].rows)
        return mean.result(self.bottleneck.new_zeros(batch_size, self.width))

    def embed(self, name: str, modality: ModalityTokens) -> Tensor:
        """Tokens at the fusion's width, with positions, behind the modality's own token if it has one, (m, n', d)."""
        tokens_mnd = self.projections[name](modality.tokens)
        if self.positions:
            tokens_mnd = tokens_mnd + grid_positions(modality.grid, self.width).to(tokens_mnd)
        if self.readout == 'mean':
            return tokens_mnd
        return torch.cat([self.cls[name].to(tokens_mnd.dtype).expand(len(tokens_mnd), 1, -1), tokens_mnd], 1)

    def fuse(
        self,
        number: int,
        state: dict[str, Tensor],
        masks: Mapping[str, Tensor | None],
        bottleneck_bkd: Tensor,
        found: Mapping[str, ModalityTokens],
    ) -> Tensor:
        """One layer of fusion: changes ``state``, and returns the next bottleneck, (b, k, d)."""
        k = bottleneck_bkd.shape[1]
        mean = ModalityMean(len(bottleneck_bkd))
        for name, rows in ((name, found[name].rows) for name in state):
            incoming = bottleneck_bkd if rows is None else bottleneck_bkd[rows]
            joint = self._attend(name, number, torch.cat([state[name], incoming], 1), masks[name], more=k)
            state[name] = joint[:, :-k]
            mean.add(joint[:, -k:], rows)
        return mean.result(bottleneck_bkd)

    def _attend(self, name: str, number: int, x_mld: Tensor, padding: Tensor | None, more: int = 0) -> Tensor:
        if padding is not None and more:
            padding = torch.cat([padding, padding.new_zeros(len(padding), more)], 1)
        return self.layers[name][number](x_mld, src_key_padding_mask=padding)

    def _padding(self, modality: ModalityTokens) -> Tensor | None:
        """Which tokens nobody may attend to, bool; None where there are none."""
        if modality.valid is None:
            return None
        return nn.functional.pad(~modality.valid, (int(self.readout == 'cls'), 0))

    def _read(self, state_mnd: Tensor, padding: Tensor | None) -> Tensor:
        if self.readout == 'cls':
            return state_mnd[:, 0]
        if padding is None:
            return state_mnd.mean(1)
        count_m1 = (~padding).sum(1, keepdim=True)
        return state_mnd.masked_fill(padding[..., None], 0).sum(1) / count_m1
