import numpy as np
import torch
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ...structures import CaptionDataSample

_META_KEYS = ('image_id', 'image_path', 'ori_shape', 'img_shape', 'patches_of', 'sample_idx')


@TRANSFORMS.register_module()
class PackCaptionInputs(BaseTransform):
    """Build inputs and data sample of captioners.

    Required keys: frames (one), or patches instead; captions; caption_tokens for a training pair

    Added keys: inputs (uint8 tensor, shape (3, H, W), or the patches, floating point, shape (tokens, width)),
    data_samples (:class:`~vadlab.structures.CaptionDataSample`); all other keys are removed
    """

    def transform(self, results: dict) -> dict:
        sample = CaptionDataSample(metainfo={key: results[key] for key in _META_KEYS if key in results})
        sample.gt_captions = list(results.get('captions', []))
        if 'caption_tokens' in results:
            sample.gt_caption_tokens = torch.from_numpy(results['caption_tokens'])
        if 'patches' in results:
            return dict(inputs=torch.from_numpy(results['patches']), data_samples=sample)
        image = np.ascontiguousarray(results['frames'][0].transpose(2, 0, 1))
        return dict(inputs=torch.from_numpy(image), data_samples=sample)

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
