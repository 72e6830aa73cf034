# Shapes: b videos (or videos x crops), c crops, t snippets, n snippets of normal videos, d feature channels, l scales.
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError

from ..layers.gaussian_mixture import GaussianMixture
from ..layers.multiscale_log_density import MultiscaleLogDensity
from .snippet_detector import SnippetDetector

AGGREGATES = ('gmm', 'max', 'median', 'mean')

#: Standard deviations above the mean of training snippets at which the probability of an anomaly is 0.5.
ALARM_AT = 3.0


@MODELS.register_module()
class MULDE(SnippetDetector):
    """Multiscale log-density of normal features, learnt by denoising score matching.

    Micorek et al., "MULDE: Multiscale Log-Density Estimation via Denoising Score Matching for Video Anomaly Detection",
    CVPR 2024, arXiv:2403.14497. It trains on normal videos only; anomalous videos of a batch are ignored.

    ::

        features (n, d) -> standardised by the training features -> + noise of a random scale -> MLP(features, scale)
            loss_dsm: gradient of the log-density against the direction back to the features without noise
            loss_regular: squared log-density at the features
        test: log-density at 16 scales -> mixture of Gaussians of these 16 numbers, or their maximum, median or mean

    ``CalibrationHook`` measures the features before training, and the log-densities after each epoch.

    Args:
        feature_dim (int): Feature channels d.
        units (Sequence[int]): Width of each hidden layer.
        sigma_low (float): Smallest noise scale, in standard deviations of the features, > 0.
        sigma_high (float): Largest noise scale.
        num_scales (int): Number l of scales in tests, evenly spaced.
        regular_weight (float): Factor of loss_regular, the paper's beta, >= 0.
        aggregate (str): ``gmm``: minus the log-likelihood of the densities of all scales under a mixture fitted to
            those of training features. ``max``, ``median``, ``mean``: of the densities, each scale standardised by
            training.
        num_components (int): Components of the mixture.
        layer_norm (bool): See :class:`~vadlab.models.layers.MultiscaleLogDensity`.
        dropout (float): As above.
        snippet_len (int): Frames per snippet, for samples without their own value.
        data_preprocessor (dict | nn.Module | None): See :class:`SnippetDetector`.

    Raises:
        ConfigError: An option has an invalid value.
    """

    feature_mean: Tensor
    feature_std: Tensor
    prepared_on: Tensor
    scale_mean: Tensor
    scale_std: Tensor
    total_mean_std: Tensor

    def __init__(
        self,
        feature_dim: int = 512,
        units: Sequence[int] = (4096, 4096),
        sigma_low: float = 1e-3,
        sigma_high: float = 1.0,
        num_scales: int = 16,
        regular_weight: float = 0.1,
        aggregate: str = 'gmm',
        num_components: int = 5,
        layer_norm: bool = False,
        dropout: float = 0.0,
        snippet_len: int = 16,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        super().__init__(snippet_len, data_preprocessor)
        if aggregate not in AGGREGATES:
            raise ConfigError(f'MULDE: aggregate={aggregate!r} is not one of {", ".join(AGGREGATES)}.')
        if not 0 < sigma_low < sigma_high or num_scales < 1 or num_components < 1 or regular_weight < 0:
            raise ConfigError(
                f'MULDE: 0 < sigma_low < sigma_high, num_scales and num_components >= 1, regular_weight >= 0; not '
                f'{sigma_low}, {sigma_high}, {num_scales}, {num_components}, {regular_weight}.'
            )
        self.density = MultiscaleLogDensity(feature_dim, units, sigma_low, sigma_high, layer_norm, dropout)
        self.mixture = GaussianMixture(num_components, num_scales)
        self.num_scales = num_scales
        self.regular_weight = regular_weight
        self.aggregate = aggregate
        self.register_buffer('feature_mean', torch.zeros(feature_dim))
        self.register_buffer('feature_std', torch.ones(feature_dim))
        self.register_buffer('prepared_on', torch.zeros((), dtype=torch.long))
        self.register_buffer('scale_mean', torch.zeros(num_scales))
        self.register_buffer('scale_std', torch.ones(num_scales))
        self.register_buffer('total_mean_std', torch.tensor([0.0, 1.0]))

    def loss(self, feats_bctd: Tensor, mask_bt: Tensor, data_samples: list[VADDataSample]) -> dict[str, Tensor]:
        """Loss terms; see :meth:`SnippetDetector.loss`.

        Returns:
            dict[str, Tensor]: loss_dsm and loss_regular.

        Raises:
            ConfigError: The batch has no normal video.
        """
        normal = self._standardised(self._normal_snippets(feats_bctd, mask_bt, data_samples))
        if not len(normal):
            raise ConfigError(
                'MULDE trains on normal videos, but the batch has none. Give the training loader '
                "batch_sampler=dict(type='BalancedBatchSampler'), or a list of normal videos only."
            )
        sigma = self.density.draw_scales(normal)
        loss_dsm = self.density.loss(normal, sigma, torch.randn_like(normal))
        return {
            'loss_dsm': loss_dsm,
            'loss_regular': self.regular_weight * self.density(normal, sigma).square().mean() / 2,
        }

    def score(self, feats_btd: Tensor, mask_bt: Tensor) -> dict[str, Tensor]:
        """Scores of snippets; see :meth:`SnippetDetector.score`. Logits are in deviations above training snippets."""
        flat = feats_btd.flatten(0, 1)
        mean, std = self.total_mean_std
        logits = ((self._total(self._densities(flat)) - mean) / std).unflatten(0, feats_btd.shape[:2])
        return {'scores': torch.sigmoid(logits - ALARM_AT), 'logits': logits}

    def prepare(self, batches: Iterable[dict[str, Any]]) -> int:
        """Measure the mean and standard deviation of each feature over normal training snippets, once.

        Args:
            batches (Iterable[dict]): Collated training batches.

        Returns:
            int: Number of snippets.
        """
        count, total, squares = 0, torch.zeros(0), torch.zeros(0)
        for feats in self._normal_of(batches):
            doubles = feats.double()
            total = doubles.sum(0) + (total if count else 0)
            squares = doubles.square().sum(0) + (squares if count else 0)
            count += len(feats)
        mean = total / count
        std = (squares / count - mean.square()).clamp_min(0).sqrt()
        self.feature_mean.copy_(mean)
        self.feature_std.copy_(torch.where(std > 1e-8, std, torch.ones_like(std)))
        self.prepared_on.fill_(count)
        return count

    @property
    def is_prepared(self) -> bool:
        """Whether :meth:`prepare` was called, in this run or before its checkpoint."""
        return bool(self.prepared_on)

    @torch.no_grad()
    def calibrate(self, batches: Iterable[dict[str, Any]]) -> int:
        """Measure the log-densities of normal training snippets, and fit the mixture.

        Args:
            batches (Iterable[dict]): Collated training batches.

        Returns:
            int: Number of snippets.

        Raises:
            DataError: There are fewer snippets than components of the mixture.
        """
        densities_nl = torch.cat([self._densities(feats) for feats in self._normal_of(batches)])
        std_l = densities_nl.std(0, correction=0)
        self.scale_mean.copy_(densities_nl.mean(0))
        self.scale_std.copy_(torch.where(std_l > 0, std_l, torch.ones_like(std_l)))
        if self.aggregate == 'gmm':
            self.mixture.fit(densities_nl)
        total_n = self._total(densities_nl)
        std = total_n.std(correction=0)
        self.total_mean_std.copy_(torch.stack([total_n.mean(), std if std > 0 else torch.ones_like(std)]))
        return len(densities_nl)

    def _standardised(self, feats_nd: Tensor) -> Tensor:
        return (feats_nd - self.feature_mean) / self.feature_std

    def _densities(self, feats_nd: Tensor) -> Tensor:
        """Minus the log-density at each scale, shape (n, l)."""
        return self.density.at_scales(self._standardised(feats_nd), self.num_scales)

    def _total(self, densities_nl: Tensor) -> Tensor:
        if self.aggregate == 'gmm':
            return -self.mixture(densities_nl).float()
        standard_nl = (densities_nl - self.scale_mean) / self.scale_std
        if self.aggregate == 'max':
            return standard_nl.amax(1)
        return standard_nl.median(1).values if self.aggregate == 'median' else standard_nl.mean(1)

    def _normal_snippets(self, feats_bctd: Tensor, mask_bt: Tensor, data_samples: list[VADDataSample]) -> Tensor:
        """Real snippets of all crops of the normal videos, shape (n, d)."""
        normal, _ = self.split(data_samples)
        return feats_bctd[normal].transpose(1, 2)[mask_bt[normal]].flatten(0, 1)

    def _normal_of(self, batches: Iterable[dict[str, Any]]) -> Iterator[Tensor]:
        for batch in batches:
            data = self.data_preprocessor(batch, False)
            mask_bt = self.mask_of(data['inputs'], data['data_samples'])
            yield self._normal_snippets(data['inputs'], mask_bt, data['data_samples'])
