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
    """Multimodal Bottleneck Transformer: modalities exchange information through a few shared tokens.

    Nagrani et al., "Attention Bottlenecks for Multimodal Fusion", NeurIPS 2021, arXiv:2107.00135, equations 8 and 9. In
    a fusion layer, each modality has its own weights and attends to its own tokens and to the bottleneck. All
    modalities read the same bottleneck; the next bottleneck is the mean of their updates. Layers before the fusion
    layer attend within each modality only.

    ::

        video  [cls | tokens] -+- layers of video -+- ... -> cls -+
               [ bottleneck ]  |       mean        |              +- mean -> feature
        audio  [cls | tokens] -+- layers of audio -+- ... -> cls -+

    Beyond the paper: a clip may lack a modality. Missing tokens are skipped, not set to zero: means are taken over the
    modalities that a clip has, and layers process only existing rows. A clip without any modality gives zeros. The
    paper averages the classifier's logits over modalities; for a linear classifier, averaging its inputs is equivalent.

    Args:
        in_channels (Mapping[str, int]): Channels of each modality's tokens.
        width (int): Channels d.
        layers (int): Total number of layers.
        heads (int): Attention heads, a divisor of ``width``.
        bottlenecks (int): Bottleneck tokens k.
        fusion_layer (int): The first layer (from 0) with bottlenecks, below ``layers``.
        mlp_ratio (float): Hidden width of the MLPs divided by d.
        readout (str): Output of each modality: ``cls``, an extra token, or ``mean``, the mean of its tokens. A pooled
            modality has one token, which then is the mean.
        positions (bool): Add sine-cosine position embeddings: tokens of a convolutional encoder carry no positions.

    Raises:
        ConfigError: ``fusion_layer``, ``bottlenecks``, ``heads`` or ``readout`` is out of range.
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
                f'{width=} a multiple of {heads=}. To fuse modalities after the last layer, use LateFusion.'
            )
        if readout not in ('cls', 'mean'):
            raise ConfigError(f'MBT: readout={readout!r} must be cls or mean.')
        self.width = width
        self.depth = layers
        self.fusion_layer = fusion_layer
        self.readout = readout
        self.positions = positions
        # Tokens have different scales per encoder, and some channels of a transformer are 100 times as large as others.
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
        """Fuse the modalities of each clip.

        Args:
            found (Mapping[str, ModalityTokens]): The modalities that at least one clip of the batch has.
            batch_size (int): Clips b.

        Returns:
            Tensor: One feature per clip, shape (b, d); zeros for a clip without any modality.
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
        """Project tokens, add position embeddings, and prepend the CLS token if there is one, shape (m, n', d)."""
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
        """Run one layer of each modality.

        Args:
            number (int): Index of the layer, from 0.
            state (dict[str, Tensor]): Tokens of each modality, shape (m, n', d); replaced by the layer's output.
            bottleneck_bkd (Tensor): The bottleneck that all modalities read.
            found (Mapping[str, ModalityTokens]): As for :meth:`forward`.
            attention (dict[str, Tensor] | None): Receives the attention weights within each modality, (m, n', n').

        Returns:
            Tensor: The next bottleneck, shape (b, k, d); unchanged before the fusion layer.
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
        """Mask of the tokens that may be attended to: CLS, the modality's tokens and the bottleneck."""
        if valid_mn is None:
            return None
        return nn.functional.pad(valid_mn, (int(self.readout == 'cls'), more), value=True)

    def _read(self, state_mnd: Tensor, valid_mn: Tensor | None) -> Tensor:
        return state_mnd[:, 0] if self.readout == 'cls' else ModalityTokens(state_mnd, valid=valid_mn).mean()

    @torch.no_grad()
    def attention(self, found: Mapping[str, ModalityTokens], batch_size: int) -> dict[str, Tensor]:
        """Attention rollout: share of each token in the output of its modality, for visualization only.

        The attention weights of all layers are multiplied, each averaged with the identity for the residual path: Abnar
        and Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020, arXiv:2005.00928. Attention through the
        bottleneck is ignored.

        Args:
            found (Mapping[str, ModalityTokens]): As for :meth:`forward`.
            batch_size (int): Clips b.

        Returns:
            dict[str, Tensor]: Shares per modality, shape (m, n), rows sum to 1, zeros at padding.
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
