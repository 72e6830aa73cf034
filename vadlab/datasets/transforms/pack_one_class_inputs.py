import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import InstanceData

from ...registry import TRANSFORMS
from ...structures import VADDataSample
from ...utils.errors import DataError
from .pack_vad_inputs import META_KEYS


@TRANSFORMS.register_module()
class PackOneClassInputs(BaseTransform):
    """Build inputs and data sample of one-class methods.

    A method that streams a video itself gets no frames: ``inputs`` is then empty.

    Required keys: video_id, video_path, total_frames, label, intervals; truth_frames and has_truth (optional: without
    them there is no truth); frames, mask_bits and tracks if they were loaded

    Added keys: inputs (uint8 tensor, shape (T, 3, H, W), T is 0 without frames), data_samples
    (:class:`~vadlab.structures.VADDataSample`; without truth it has no ``gt_intervals``); all other keys are removed

    Raises:
        DataError: Video and truth have different numbers of frames.
    """

    def transform(self, results: dict) -> dict:
        truth_frames, frames = results.get('truth_frames'), results['total_frames']
        if truth_frames is not None and truth_frames != frames:
            raise DataError(f'{results["video_path"]}: {frames} frames, but the truth has {truth_frames}')
        sample = VADDataSample(metainfo={key: results[key] for key in META_KEYS if key in results})
        if results.get('has_truth'):
            sample.gt_label = int(results['label'])
            sample.gt_intervals = torch.from_numpy(np.asarray(results['intervals'], np.int64).reshape(-1, 2))
        if 'mask_bits' in results:
            sample.gt_mask_bits = torch.from_numpy(results['mask_bits'])
            sample.gt_tracks = InstanceData(
                **{name: torch.from_numpy(np.asarray(values)) for name, values in results['tracks'].items()}
            )
        if 'frames' in results:
            inputs = torch.from_numpy(results['frames']).permute(0, 3, 1, 2).contiguous()
        else:
            inputs = torch.zeros(0, 3, 1, 1, dtype=torch.uint8)
        return dict(inputs=inputs, data_samples=sample)

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
