import numpy as np
import torch
from mmcv.transforms import BaseTransform
from torch import Tensor

from ...registry import TRANSFORMS
from ...structures import AudioVisualDataSample
from ...utils.errors import DataError

_META_KEYS = (
    'clip_id',
    'video_path',
    'fps',
    'num_frames',
    'duration',
    'has_audio',
    'frame_inds',
    'times',
    'num_classes',
    'sample_idx',
)
_SOUND_KEYS = ('audio_start', 'audio_hop', 'band_start')


@TRANSFORMS.register_module()
class PackAudioVisualInputs(BaseTransform):
    """Build inputs and data sample of audio-visual models; pixels stay uint8 until they are on the model's device.

    Required keys: clip_id, frames, mel, labels, num_classes, multi_label, and optional fields of
    :class:`~vadlab.structures.AudioVisualDataSample`

    Added keys: inputs (dict: ``video``, uint8 tensor, shape (T, 3, H, W); ``audio``, float32 tensor in decibels, shape
    (1, F, L), or None without sound), data_samples (:class:`~vadlab.structures.AudioVisualDataSample`); all other keys
    are removed

    Raises:
        DataError: The spectrogram is not finite; a single NaN would spread to all weights in one step.
    """

    def transform(self, results: dict) -> dict:
        mel = results['mel']
        if mel is not None and not np.isfinite(mel).all():
            raise DataError(f'{results["clip_id"]}: the spectrogram has NaN or infinite numbers. Prepare it again')
        meta = {key: results[key] for key in _META_KEYS if key in results}
        meta['start'] = results.get('start') or 0.0
        meta['has_audio'] = mel is not None
        if mel is not None:
            meta |= {key: results[key] for key in _SOUND_KEYS if key in results}
        sample = AudioVisualDataSample(metainfo=meta)
        sample.gt_labels = {head: self._target(results, head) for head in results['labels']}
        frames = torch.from_numpy(np.ascontiguousarray(results['frames'].transpose(0, 3, 1, 2)))
        audio = None if mel is None else torch.from_numpy(np.array(mel[None], np.float32))
        return dict(inputs=dict(video=frames, audio=audio), data_samples=sample)

    @staticmethod
    def _target(results: dict, head: str) -> Tensor:
        labels = results['labels'][head]
        if head not in results['multi_label']:
            return torch.tensor(labels[0])
        target = torch.zeros(results['num_classes'][head])
        target[labels] = 1.0
        return target

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
