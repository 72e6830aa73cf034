from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vadlab.datasets.transforms.random_generator import new_generator
from vadlab.registry import MODELS
from vadlab.structures import AudioVisualDataSample
from vadlab.utils.errors import ConfigError


@MODELS.register_module()
class MixUp:
    """Mixes each clip of a batch with another one: frames, sound and labels with the same weight.

    Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, arXiv:1710.09412, equation 1: x = lambda x_i +
    (1 - lambda) x_j, likewise the labels, lambda from Beta(alpha, alpha).

    Partners are drawn among clips with the same modalities. Otherwise a clip with sound could be mixed with one
    without: the sound would then come from one clip only, but the labels from both. So the masks do not change, and a
    clip that is the only one with its modalities in the batch is not mixed.

    Spectrograms are mixed as normalised decibels, and frames as pixels. After its end, the shorter spectrogram counts
    as padding (the mean). Both clips get the length of the longer one.

    The paper's code draws one lambda per batch. Here each clip has its own lambda >= 0.5, the clip's own weight, so
    that ``clip_id`` names the dominant clip.

    Args:
        alpha (float): Parameter of the Beta distribution, > 0; a larger alpha gives more even weights.
        prob (float): Share of batches that are mixed, 0..1.

    Raises:
        ConfigError: An option is out of its range.
    """

    def __init__(self, alpha: float = 0.2, prob: float = 1.0) -> None:
        if not alpha > 0:
            raise ConfigError(f'MixUp: alpha must be > 0, not {alpha!r}')
        if not 0 <= prob <= 1:
            raise ConfigError(f'MixUp: prob must be in 0..1, not {prob!r}')
        self.alpha = alpha
        self.prob = prob

    def __call__(
        self, inputs: dict[str, Any], data_samples: list[AudioVisualDataSample]
    ) -> tuple[dict[str, Any], list[AudioVisualDataSample]]:
        """Mix a batch.

        Args:
            inputs (dict): Inputs from :class:`AudioVisualDataPreprocessor`.
            data_samples (list[AudioVisualDataSample]): B samples; their ``gt_labels`` are replaced.

        Returns:
            tuple: Inputs and samples; labels are shares of classes, float32, shape (C,).
        """
        generator = new_generator()
        count = len(data_samples)
        share = torch.ones(count)
        partner = torch.arange(count)
        if generator.random() < self.prob:
            heard = torch.tensor([sample.has_audio for sample in data_samples])
            seen = inputs['video_mask'].cpu()
            for kind in ((heard & seen), (~heard & seen), (heard & ~seen), (~heard & ~seen)):
                kind = kind.nonzero()[:, 0]
                if len(kind) > 1:
                    # Partners are neighbours in a random ring, so that no clip is its own partner.
                    ring = kind[torch.from_numpy(generator.permutation(len(kind)))]
                    partner[ring] = ring.roll(1)
                    drawn = torch.from_numpy(generator.beta(self.alpha, self.alpha, len(kind))).float()
                    share[kind] = torch.maximum(drawn, 1 - drawn)
        mixed = dict(inputs)
        device = inputs['video'].device
        mixed['video'] = _mix(inputs['video'], share.to(device), partner.to(device))
        audio = inputs['audio']
        if len(audio):
            clips = torch.tensor([i for i, sample in enumerate(data_samples) if sample.has_audio])
            row = torch.empty(count, dtype=torch.int64)
            row[clips] = torch.arange(len(clips))
            shares, partners = share[clips], row[partner[clips]]
            mixed['audio'] = _mix(audio, shares.to(audio.device), partners.to(audio.device))
            lengths = inputs['audio_lengths']
            mixed['audio_lengths'] = torch.where(shares < 1, torch.maximum(lengths, lengths[partners]), lengths)
        self._mix_labels(data_samples, share, partner)
        return mixed, data_samples

    @staticmethod
    def _mix_labels(data_samples: list[AudioVisualDataSample], share: Tensor, partner: Tensor) -> None:
        targets = []
        for sample in data_samples:
            counts = sample.num_classes
            targets.append({
                head: label if label.is_floating_point() else F.one_hot(label, counts[head]).float()
                for head, label in sample.gt_labels.items()
            })  # fmt: skip
        for i, (own, other) in enumerate(zip(share.tolist(), partner.tolist(), strict=True)):
            sample = data_samples[i]
            sample.gt_labels = {
                head: own * target + (1 - own) * targets[other][head] for head, target in targets[i].items()
            }
            if own < 1:
                sample.set_metainfo(dict(mixed_with=data_samples[other].clip_id))


def _mix(values: Tensor, share: Tensor, partner: Tensor) -> Tensor:
    """Weighted sum of each row (weight ``share``) and its partner (weight 1 - ``share``)."""
    return torch.lerp(values[partner], values, share.view(-1, *[1] * (values.ndim - 1)).to(values.dtype))
