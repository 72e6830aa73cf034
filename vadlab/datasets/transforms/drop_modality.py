from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ...utils.errors import ConfigError
from .random_generator import new_generator


@TRANSFORMS.register_module()
class DropModality(BaseTransform):
    """Remove the pictures or the sound of some training clips, never both.

    A model that always gets both modalities in training does not learn to use one alone, as for clips without sound or
    in an ablation. A clip without sound keeps its pictures.

    Required keys: inputs, data_samples, from :class:`PackAudioVisualInputs`

    Modified keys: inputs (``video`` or ``audio`` None), data_samples (``has_audio`` if the sound is removed)

    Args:
        video: Share of the clips with sound that lose their pictures, 0..1.
        audio: Share of the clips with sound that lose their sound, 0..1.

    Raises:
        ConfigError: A share is outside 0..1, or their sum is above 1.
    """

    def __init__(self, video: float = 0.0, audio: float = 0.0) -> None:
        if video < 0 or audio < 0 or video + audio > 1:
            raise ConfigError(
                f'DropModality: video={video!r} and audio={audio!r} must be shares that add up to 1 at most'
            )
        self.video = video
        self.audio = audio

    def transform(self, results: dict) -> dict:
        if results['inputs']['audio'] is None:
            return results
        drawn = new_generator().random()
        if drawn < self.video:
            results['inputs']['video'] = None
        elif drawn < self.video + self.audio:
            results['inputs']['audio'] = None
            results['data_samples'].set_metainfo(dict(has_audio=False))
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(video={self.video}, audio={self.audio})'
