# Shapes: n features, a of them anchors, d channels.
import torch
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError


@MODELS.register_module()
class SupervisedContrastiveLoss(nn.Module):
    r"""Supervised contrastive loss: pulls features of the same label together and pushes other features apart.

    Khosla et al., "Supervised Contrastive Learning", 2020, arXiv:2004.11362, eq. 2 (L_out), mean over the anchors i
    that have a positive, i.e. another feature of their label:

    ``-1/|P(i)| * sum_{p in P(i)} [ f_i . f_p / t - log sum_{j != i} exp(f_i . f_j / t) ]``

    All pairs of a batch's patches would be a matrix of about 10,000 x 10,000. If there are more features than
    ``max_anchors``, that many are drawn as anchors and compared with all features. This is an unbiased estimate of the
    same loss.

    Args:
        temperature (float): Temperature t.
        loss_weight (float): Factor of the returned loss.
        max_anchors (int | None): Maximum number of anchors per step; None uses all features.

    Raises:
        ConfigError: ``temperature`` is not positive, or ``max_anchors`` is less than 1.
    """

    def __init__(self, temperature: float = 0.07, loss_weight: float = 1.0, max_anchors: int | None = 1024) -> None:
        super().__init__()
        if temperature <= 0 or (max_anchors is not None and max_anchors < 1):
            raise ConfigError(
                f'SupervisedContrastiveLoss: temperature={temperature} must be above 0, max_anchors={max_anchors} at '
                'least 1 or None.'
            )
        self.temperature = temperature
        self.loss_weight = loss_weight
        self.max_anchors = max_anchors

    def forward(self, features_nd: Tensor, labels_n: Tensor) -> Tensor:
        """Loss of a batch; if no label occurs twice, zero with a graph.

        Args:
            features_nd (Tensor): L2-normalised.
            labels_n (Tensor): int64.
        """
        n = len(features_nd)
        if n < 2:
            return features_nd.sum() * 0
        anchors_a = torch.arange(n, device=features_nd.device)
        if self.max_anchors is not None and n > self.max_anchors:
            anchors_a = torch.randperm(n, device=features_nd.device)[: self.max_anchors]
        with torch.autocast(features_nd.device.type, enabled=False):
            features_nd = features_nd if features_nd.dtype == torch.float64 else features_nd.float()
            logits_an = features_nd[anchors_a] @ features_nd.T / self.temperature
        logits_an = logits_an.scatter(1, anchors_a[:, None], -torch.inf)  # no feature is compared with itself
        is_positive_an = labels_n[anchors_a, None] == labels_n
        is_positive_an = is_positive_an.scatter(1, anchors_a[:, None], False)
        num_positive_a = is_positive_an.sum(1)
        to_positives_a = logits_an.masked_fill(~is_positive_an, 0).sum(1) / num_positive_a.clamp(min=1)
        has_positive_a = num_positive_a > 0
        losses_a = torch.where(has_positive_a, logits_an.logsumexp(1) - to_positives_a, 0)
        return self.loss_weight * losses_a.sum() / has_positive_a.sum().clamp(min=1)
