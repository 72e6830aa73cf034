import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import InstanceData

from ...registry import TRANSFORMS
from ...structures import VADDataSample

#: Fields of a video that its data sample has.
META_KEYS = (
    'video_id',
    'video_path',
    'fps',
    'total_frames',
    'frame_inds',
    'ori_shape',
    'img_shape',
    'class_name',
    'sample_idx',
)


@TRANSFORMS.register_module()
class PackVADInputs(BaseTransform):
    """Build inputs and data sample of frame models; pixels stay uint8 until they are on the model's device.

    Required keys: frames, label, caption, intervals, regions, region_boxes, region_valid; caption_tokens,
    region_tokens and region_negative_tokens if captions are tokenized

    Added keys: inputs (uint8 tensor, shape (T, 3, H, W)), data_samples (:class:`~vadlab.structures.VADDataSample`); all
    other keys are removed
    """

    def transform(self, results: dict) -> dict:
        sample = VADDataSample(metainfo={key: results[key] for key in META_KEYS if key in results})
        sample.gt_label = int(results['label'])
        sample.gt_intervals = torch.from_numpy(np.asarray(results['intervals'], np.int64).reshape(-1, 2))
        sample.gt_caption = results['caption']
        regions = InstanceData()
        regions.captions = [region['caption'] for region in results['regions']]
        regions.boxes_xyxyn = torch.from_numpy(results['region_boxes'])
        regions.box_valid = torch.from_numpy(results['region_valid'])
        if 'caption_tokens' in results:
            sample.gt_caption_tokens = torch.from_numpy(results['caption_tokens'])
            regions.tokens = [torch.from_numpy(tokens) for tokens in results['region_tokens']]
            regions.negative_tokens = [
                [torch.from_numpy(tokens) for tokens in negatives] for negatives in results['region_negative_tokens']
            ]
        sample.gt_regions = regions
        inputs = torch.from_numpy(results['frames']).permute(0, 3, 1, 2).contiguous()
        return dict(inputs=inputs, data_samples=sample)

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
