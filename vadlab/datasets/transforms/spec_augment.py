import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ...utils.errors import ConfigError
from .random_generator import new_generator


@TRANSFORMS.register_module()
class SpecAugment(BaseTransform):
    """Mask random bands and time spans of a spectrogram.

    Park et al., "SpecAugment", Interspeech 2019, arXiv:1904.08779, section 2: a mask covers f consecutive bands, f
    uniform in 0..F, from a start uniform in 0..(bands - f); likewise in time, where a mask covers at most the share p
    of all columns. Masked values become the clip's mean; the paper uses zero, which is the mean of its spectrograms.
    The paper's time warp is omitted: there it was the most expensive and the least effective step (section 5).

    Required keys: mel

    Modified keys: mel (only with sound)

    Args:
        num_bands: Masks in frequency, the paper's m_F.
        band_width: F, bands.
        num_times: Masks in time, the paper's m_T.
        time_width: T, columns.
        time_share: p, 0..1.
        prob: Share of clips that are masked, 0..1.

    Raises:
        ConfigError: An option has an invalid value.
    """

    def __init__(
        self,
        num_bands: int = 2,
        band_width: int = 15,
        num_times: int = 2,
        time_width: int = 70,
        time_share: float = 0.2,
        prob: float = 1.0,
    ) -> None:
        for name, value in dict(
            num_bands=num_bands, band_width=band_width, num_times=num_times, time_width=time_width
        ).items():
            if not isinstance(value, int) or value < 0:
                raise ConfigError(f'SpecAugment: {name} must be a whole number >= 0, not {value!r}')
        for name, share in dict(time_share=time_share, prob=prob).items():
            if not 0 <= share <= 1:
                raise ConfigError(f'SpecAugment: {name} must be in 0..1, not {share!r}')
        self.num_bands, self.band_width = num_bands, band_width
        self.num_times, self.time_width, self.time_share = num_times, time_width, time_share
        self.prob = prob

    def transform(self, results: dict) -> dict:
        generator = new_generator()
        if results['mel'] is None or generator.random() >= self.prob:
            return results
        mel = np.array(results['mel'])  # a copy: a mapped file is read-only, and a cached array must not change
        mean = mel.mean()
        bands, columns = mel.shape
        for _ in range(self.num_bands):
            start, stop = _span(generator, bands, min(self.band_width, bands))
            mel[start:stop] = mean
        for _ in range(self.num_times):
            start, stop = _span(generator, columns, min(self.time_width, int(self.time_share * columns)))
            mel[:, start:stop] = mean
        results['mel'] = mel
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_bands={self.num_bands}, band_width={self.band_width}, '
            f'num_times={self.num_times}, time_width={self.time_width}, time_share={self.time_share}, prob={self.prob})'
        )


def _span(generator: np.random.Generator, total: int, most: int) -> tuple[int, int]:
    """Start and end of a random span of 0..most of ``total`` positions."""
    length = int(generator.integers(most + 1))
    start = int(generator.integers(total - length + 1))
    return start, start + length
