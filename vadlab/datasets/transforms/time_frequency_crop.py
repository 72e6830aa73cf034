from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ...utils.errors import ConfigError
from .random_generator import new_generator


@TRANSFORMS.register_module()
class TimeFrequencyCrop(BaseTransform):
    """Crop a spectrogram to a length in time and a number of bands.

    In time the crop is within ``clip_window``, or around it if the window is shorter, so sound and frames show the same
    moment. A shorter spectrogram is unchanged; batches are padded and masked. In frequency all clips must have the same
    size, so ``bands`` are taken from a random position (or the middle), which shifts the pitch by a few bands.

    Required keys: mel, audio_hop, audio_start, band_start; clip_window if the frames show only a part

    Modified keys: mel (shape (F, L)), audio_start, band_start (only with sound)

    Args:
        columns: Maximum number of columns to keep in time; None keeps all.
        bands: Number of bands to keep in frequency; None keeps all.
        random: Place the crop at random; False for the middle.

    Raises:
        ConfigError: An option has an invalid value, or a spectrogram has fewer bands.
    """

    def __init__(self, columns: int | None = None, bands: int | None = None, random: bool = True) -> None:
        for name, value in dict(columns=columns, bands=bands).items():
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ConfigError(f'TimeFrequencyCrop: {name} must be a whole number >= 1 or None, not {value!r}')
        self.columns = columns
        self.bands = bands
        self.random = random

    def transform(self, results: dict) -> dict:
        mel = results['mel']
        if mel is None:
            return results
        if self.columns is not None and mel.shape[1] > self.columns:
            hop, last = results['audio_hop'], mel.shape[1] - self.columns
            window = results.get('clip_window', (0.0, mel.shape[1] * hop))
            begin, end = (round(time / hop) for time in window)
            places = sorted(min(max(place, 0), last) for place in (begin, end - self.columns))
            start = self._choose(*places)
            mel = mel[:, start : start + self.columns]
            results['audio_start'] += start * hop
        if self.bands is not None:
            if self.bands > mel.shape[0]:
                name = results.get('clip_id', 'the clip')
                raise ConfigError(f'TimeFrequencyCrop: bands={self.bands}, but {name} has {mel.shape[0]}')
            start = self._choose(0, mel.shape[0] - self.bands)
            mel = mel[start : start + self.bands]
            results['band_start'] += start
        results['mel'] = mel
        return results

    def _choose(self, low: int, high: int) -> int:
        return int(new_generator().integers(low, high + 1)) if self.random else (low + high) // 2

    def __repr__(self) -> str:
        return f'{type(self).__name__}(columns={self.columns}, bands={self.bands}, random={self.random})'
