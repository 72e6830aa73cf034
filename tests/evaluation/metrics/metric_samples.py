"""Data samples with predictions, as a model leaves them."""

import numpy as np
import torch
from mmengine.structures import InstanceData

from vadlab.structures import VADDataSample


def scored(video_id, logits, intervals=(), label=0, total_frames=None):
    logits = torch.as_tensor(logits, dtype=torch.float32)
    sample = VADDataSample(metainfo=dict(video_id=video_id, total_frames=total_frames or len(logits)))
    sample.gt_label = label
    sample.gt_intervals = torch.tensor(intervals, dtype=torch.int64).reshape(-1, 2)
    sample.pred_logits, sample.pred_scores = logits, logits.sigmoid()
    return sample


def classified(video_id, class_scores, intervals=(), label=0, total_frames=None, snippet_len=None):
    """With class probabilities; ``intervals`` of (class index, start, end)."""
    class_scores = torch.as_tensor(np.asarray(class_scores), dtype=torch.float32)
    logits = (1 - class_scores[:, 0]).logit(eps=1e-6)
    sample = scored(video_id, logits, [interval[1:] for interval in intervals], label, total_frames)
    sample.pred_class_scores = class_scores
    sample.gt_class_intervals = list(intervals)
    if snippet_len:
        sample.set_metainfo(dict(snippet_len=snippet_len))
    return sample


def unit(rows):
    rows = torch.as_tensor(np.asarray(rows), dtype=torch.float32)
    return rows / rows.norm(dim=-1, keepdim=True)


def embedded(video_id, caption, video, text, region_captions=(), regions=None, region_texts=None):
    sample = VADDataSample(metainfo=dict(video_id=video_id))
    sample.gt_caption = caption
    sample.pred_video_embed, sample.pred_caption_embed = unit(video), unit(text)
    sample.gt_regions, sample.pred_regions = InstanceData(), InstanceData()
    sample.gt_regions.captions = list(region_captions)
    if region_captions:
        sample.pred_regions.embeds, sample.pred_regions.caption_embeds = unit(regions), unit(region_texts)
    return sample


def boxed(video_id, boxes, valid, predicted):
    sample = VADDataSample(metainfo=dict(video_id=video_id))
    sample.gt_regions, sample.pred_regions = InstanceData(), InstanceData()
    sample.gt_regions.captions = [f'region {i}' for i in range(len(boxes))]
    sample.gt_regions.boxes_xyxyn = torch.tensor(boxes, dtype=torch.float32)
    sample.gt_regions.box_valid = torch.tensor(valid)
    sample.pred_regions.boxes_xyxyn = torch.tensor(predicted, dtype=torch.float32)
    return sample


def evaluate(metric, samples):
    """By the way the Runner takes: samples to dicts, batch by batch."""
    for sample in samples:
        metric.process({}, [sample.to_dict()])
    return metric.evaluate(len(samples))
