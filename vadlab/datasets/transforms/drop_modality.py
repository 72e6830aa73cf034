from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ...utils.errors import ConfigError
from .random_generator import new_generator


@TRANSFORMS.register_module()
class DropModality(BaseTransform):
    """Take the pictures or the sound of some training clips away, never both.

    A model that has always seen both does not know what to make of one alone: a clip without sound, or a test that
    asks what each modality adds. A clip without sound keeps its pictures.

    Required keys: inputs, data_samples, as :class:`PackAudioVisualInputs` makes them

    Modified keys: inputs (``video`` or ``audio`` None), data_samples (``has_audio`` where the sound goes)

    Args:
        video: Share of the clips with sound that lose their pictures, 0..1.
        audio: Share of them that lose their sound, 0..1.

    Raises:
        ConfigError: A share outside 0..1, or both together above 1.
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
