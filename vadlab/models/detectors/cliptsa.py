# Shapes: b videos (or videos x crops), s samples of noise, t snippets, d feature channels.
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

from ..layers.perturbed_top_share import perturbed_top_share
from .rtfm import RTFM
from .snippet_detector import MOST_EXPORTED

WIDTH = 512  # channels of the authors' CLIP features; wider ones are projected to it


@MODELS.register_module()
class CLIPTSA(RTFM):
    """CLIP-TSA: RTFM on CLIP features, which are first weighted by how often noisy scores choose them.

    Joo et al., "CLIP-TSA: CLIP-Assisted Temporal Self-Attention for Weakly-Supervised Video Anomaly Detection", ICIP
    2023, arXiv:2212.05136. Authors' code: https://github.com/joos2010kj/CLIP-TSA.

    ::

        features (b, t, d) -> two layers, sigmoid -> relevance (b, t) -> + noise, top k of t snippets, 100 times
                 |                                                         |
                 x ----------------------------- share of samples in which a snippet is chosen
                 |
                 -> RTFM: multi-scale temporal network, classifier, and its losses

    We follow the authors' code, which gave the published numbers. At most 1000 snippets of a tested video are chosen, a
    limit of memory in their code; in longer videos, more snippets get a share near 0. Their tests draw new noise each
    time, so their scores vary; ours always draw the same noise.

    Args:
        feature_dim (int): Feature channels d. More than 512 are projected to 512 by two layers, as the authors do for
            I3D and C3D features.
        hidden_dims (tuple[int, int]): Units of the classifier's hidden layers.
        keep (float): Share of the snippets that are chosen, in (0, 1]: 0.95 for UCF-Crime, 0.9 for XD-Violence, 0.01
            for ShanghaiTech.
        samples (int): Samples of noise s.
        sigma (float): Standard deviation of the noise, > 0.
        max_chosen (int): Snippets that are chosen at most in tests.
        dropout (float): Share of features, hidden units and magnitudes dropped in training, 0..1.
        topk (int): Number of snippets chosen per video for the losses.
        margin (float): Target norm of abnormal features.
        magnitude_weight (float): Factor of loss_magnitude.
        sparsity_weight (float): Factor of loss_sparsity.
        smoothness_weight (float): Factor of loss_smoothness.
        snippet_len (int): Frames per snippet, for samples without their own value.
        data_preprocessor (dict | nn.Module | None): See :class:`SnippetDetector`.

    Raises:
        ConfigError: ``keep`` or ``sigma`` is out of range, or RTFM refuses an argument.
    """

    public_layouts = ('https://github.com/joos2010kj/CLIP-TSA',)
    public_rules: ClassVar = {
        'hard_attention.scorer.fc1.weight': {
            **RTFM.public_rules['Aggregate.conv_1.0.weight'],
            r'hard_attention\.scorer\.fc1': 'relevance.0',
            r'hard_attention\.scorer\.fc2': 'relevance.2',
            r'mlp\.fc1': 'project.0',
            r'mlp\.fc2': 'project.2',
        },
    }

    def __init__(
        self,
        feature_dim: int = WIDTH,
        hidden_dims: tuple[int, int] = (128, 32),
        keep: float = 0.95,
        samples: int = 100,
        sigma: float = 0.05,
        max_chosen: int = 1000,
        dropout: float = 0.7,
        topk: int = 3,
        margin: float = 100.0,
        magnitude_weight: float = 1e-4,
        sparsity_weight: float = 8e-3,
        smoothness_weight: float = 8e-4,
        snippet_len: int = 16,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        if not 0 < keep <= 1 or sigma <= 0 or samples < 1 or max_chosen < 1:
            raise ConfigError(
                f'CLIPTSA: keep={keep} must be in (0, 1], sigma={sigma} > 0, samples={samples} and '
                f'max_chosen={max_chosen} at least 1.'
            )
        width = min(feature_dim, WIDTH)
        super().__init__(
            width,
            hidden_dims,
            dropout,
            topk,
            margin,
            magnitude_weight,
            sparsity_weight,
            smoothness_weight,
            snippet_len,
            data_preprocessor,
        )
        self.project = None
        if feature_dim > WIDTH:
            self.project = nn.Sequential(
                nn.Linear(feature_dim, 2 * WIDTH), nn.ReLU(), nn.Linear(2 * WIDTH, WIDTH), nn.Sigmoid()
            )
        self.relevance = nn.Sequential(nn.Linear(width, 256), nn.ReLU(), nn.Linear(256, 1), nn.Sigmoid())
        for module in (*(self.project or ()), *self.relevance):
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        self.keep = keep
        self.samples = samples
        self.sigma = sigma
        self.max_chosen = max_chosen

    def from_public(self, tensors: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """Convert a checkpoint of the authors; see :meth:`SnippetDetector.from_public`.

        Their checkpoints contain the projection of wide features even if it is not used.
        """
        found = super().from_public(tensors)
        if found is None or self.project is not None:
            return found
        return {name: tensor for name, tensor in found.items() if not name.startswith('project.')}

    def weigh(self, feats_btd: Tensor, mask_bt: Tensor) -> Tensor:
        """Weights of snippets, 0..1, float32, shape (b, t)."""
        values_bt = self.relevance(feats_btd)[..., 0].float()
        numbers_b = self._numbers(mask_bt.sum(1)).clamp_min(1)
        if self.training:
            noise_bst = torch.randn(len(values_bt), self.samples, values_bt.shape[1], device=values_bt.device)
        else:
            numbers_b = numbers_b.clamp_max(self.max_chosen)
            # Snippet by snippet, so that a longer video has the noise of a shorter one, and more. NumPy's generator
            # gives the same numbers on all machines.
            length = values_bt.shape[1]
            is_exporting = torch.compiler.is_exporting()  # the graph contains the noise of the longest video
            shape = MOST_EXPORTED if is_exporting else length, self.samples
            noise_ts = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
            noise_bst = torch.from_numpy(noise_ts).to(values_bt)[:length].T[None]
        return perturbed_top_share(values_bt, noise_bst, numbers_b, mask_bt, self.sigma)

    def _numbers(self, counts_b: Tensor) -> Tensor:
        """The share ``keep`` of numbers of snippets, rounded down."""
        if torch.compiler.is_exporting():  # graphs have factors in float32, in which 20 * 0.95 is less than 19
            table = (np.arange(MOST_EXPORTED + 1) * self.keep).astype(np.int64)
            return torch.from_numpy(table).to(counts_b.device)[counts_b]
        return (counts_b.double() * self.keep).long()

    def _run(self, feats_btd: Tensor, mask_bt: Tensor) -> tuple[Tensor, Tensor]:
        if self.project is not None:
            feats_btd = self.project(feats_btd)
        return super()._run(feats_btd * self.weigh(feats_btd, mask_bt)[..., None], mask_bt)
