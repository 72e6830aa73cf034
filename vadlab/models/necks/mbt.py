# Shapes: b clips of the batch, m of them with a modality, n tokens, k bottleneck tokens, d width.
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

from ..layers.grid_positions import grid_positions
from ..layers.modality_mean import ModalityMean
from ..layers.modality_tokens import ModalityTokens
from ..layers.residual_attention_block import ResidualAttentionBlock


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
        self.depth = layers
        self.fusion_layer = fusion_layer
        self.readout = readout
        self.positions = positions
        # Encoders' tokens are of any scale; some of a transformer's channels are a hundred times the others.
        self.projections = nn.ModuleDict(
            {
                name: nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, width))
                for name, channels in in_channels.items()
            }
        )
        self.bottleneck = nn.Parameter(0.02 * torch.randn(bottlenecks, width))
        self.cls = nn.ParameterDict()
        if readout == 'cls':
            self.cls = nn.ParameterDict({name: nn.Parameter(0.02 * torch.randn(width)) for name in in_channels})

        self.layers = nn.ModuleDict(
            {
                name: nn.ModuleList(ResidualAttentionBlock(width, heads, mlp_ratio, 'gelu') for _ in range(layers))
                for name in in_channels
            }
        )
        for block in (block for blocks in self.layers.values() for block in blocks):
            block.reset_parameters(layers)
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
        bottleneck_bkd = self.bottleneck.expand(batch_size, -1, -1)
        for number in range(self.depth):
            bottleneck_bkd = self.layer(number, state, bottleneck_bkd, found)
        mean = ModalityMean(batch_size)
        for name, state_mnd in state.items():
            mean.add(self._read(self.norms[name](state_mnd), found[name].valid), found[name].rows)
        return mean.result(self.bottleneck.new_zeros(batch_size, self.width))

    def embed(self, name: str, modality: ModalityTokens) -> Tensor:
        """Tokens at the fusion's width, with positions, behind the modality's own token if it has one, (m, n', d)."""
        tokens_mnd = self.projections[name](modality.tokens)
        if self.positions:
            tokens_mnd = tokens_mnd + grid_positions(modality.grid, self.width).to(tokens_mnd)
        if self.readout == 'mean':
            return tokens_mnd
        return torch.cat([self.cls[name].to(tokens_mnd.dtype).expand(len(tokens_mnd), 1, -1), tokens_mnd], 1)

    def layer(
        self,
        number: int,
        state: dict[str, Tensor],
        bottleneck_bkd: Tensor,
        found: Mapping[str, ModalityTokens],
        attention: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """One layer of each modality.

        Args:
            number (int): Which, from 0.
            state (dict[str, Tensor]): Each modality's tokens, shape (m, n', d); replaced by what becomes of them.
            bottleneck_bkd (Tensor): The bottleneck that all see.
            found (Mapping[str, ModalityTokens]): As for :meth:`forward`.
            attention (dict[str, Tensor] | None): Receives how tokens attend to those of their modality, (m, n', n').

        Returns:
            Tensor: The next bottleneck, shape (b, k, d); the same one before the fusion layer.
        """
        fuses = number >= self.fusion_layer
        k = bottleneck_bkd.shape[1] if fuses else 0
        mean = ModalityMean(len(bottleneck_bkd))
        for name, own in state.items():
            block, rows, length = self.layers[name][number], found[name].rows, own.shape[1]
            if fuses:
                own = torch.cat([own, bottleneck_bkd if rows is None else bottleneck_bkd[rows]], 1)
            valid = self._valid(found[name].valid, k)
            if attention is not None:
                attention[name] = block.attention(own, valid)[:, :length, :length]
            state[name], update = block(own, valid).split([length, k], 1)
            mean.add(update, rows)
        return mean.result(bottleneck_bkd) if fuses else bottleneck_bkd

    def _valid(self, valid_mn: Tensor | None, more: int) -> Tensor | None:
        """Which tokens may be attended to, the modality's own and the bottleneck's included."""
        if valid_mn is None:
            return None
        return nn.functional.pad(valid_mn, (int(self.readout == 'cls'), more), value=True)

    def _read(self, state_mnd: Tensor, valid_mn: Tensor | None) -> Tensor:
        return state_mnd[:, 0] if self.readout == 'cls' else ModalityTokens(state_mnd, valid=valid_mn).mean()

    @torch.no_grad()
    def attention(self, found: Mapping[str, ModalityTokens], batch_size: int) -> dict[str, Tensor]:
        """How much of each token reaches what is read of its modality; for pictures, not for the result.

        Attention of all layers multiplied, half of each token passing by on the residual path: Abnar and Zuidema,
        "Quantifying Attention Flow in Transformers", ACL 2020, arXiv:2005.00928. What comes through the bottleneck is
        left out.

        Args:
            found (Mapping[str, ModalityTokens]): As for :meth:`forward`.
            batch_size (int): Clips b.

        Returns:
            dict[str, Tensor]: Shape (m, n) for each modality, rows adding up to 1, zeros at padding.
        """
        state = {name: self.embed(name, modality) for name, modality in found.items()}
        bottleneck_bkd = self.bottleneck.expand(batch_size, -1, -1)
        reach: dict[str, Tensor] = {}
        for number in range(self.depth):
            attended: dict[str, Tensor] = {}
            bottleneck_bkd = self.layer(number, state, bottleneck_bkd, found, attended)
            for name, share in attended.items():
                share = (share + torch.eye(share.shape[1], device=share.device)) / 2
                reach[name] = share @ reach[name] if name in reach else share
        out = {}
        for name, reach_mnn in reach.items():
            read = reach_mnn[:, 0, 1:] if self.readout == 'cls' else self._read(reach_mnn, found[name].valid)
            valid = found[name].valid
            read = read if valid is None else read * valid
            out[name] = read / read.sum(1, keepdim=True)
        return out
