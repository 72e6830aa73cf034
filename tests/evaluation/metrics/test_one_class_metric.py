import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from sklearn.metrics import roc_auc_score

from vadlab.evaluation.metrics.one_class_metric import OneClassMetric
from vadlab.evaluation.metrics.pixel_level_metric import PixelLevelMetric
from vadlab.utils.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
LABELS = [np.arange(40) >= 25, np.zeros(30, bool), (np.arange(50) >= 10) & (np.arange(50) < 30)]
SCORES = [RNG.normal(size=len(y)) * 5 + y * 3 + 10 * i for i, y in enumerate(LABELS)]


def samples(**more):
    edges = [[[25, 40]], [], [[10, 30]]]
    for i, (scores, intervals) in enumerate(zip(SCORES, edges, strict=True)):
        yield {
            'video_id': str(i), 'total_frames': len(scores), 'pred_raw_logits': scores, 'pred_logits': -scores,
            'gt_intervals': np.array(intervals).reshape(-1, 2), **more,
        }  # fmt: skip


def numbers(metric):
    metric.process({}, list(samples()))
    return metric.numbers()


def test_both_areas_with_and_without_smoothing_equal_scikit_learns():
    found = numbers(OneClassMetric(['none', 'gaussian(3)']))
    for key, smooth in (('unsmoothed', lambda s: s), ('gaussian3', lambda s: gaussian_filter1d(s, 3, mode='nearest'))):
        scores = [smooth(s) for s in SCORES]
        micro = roc_auc_score(np.concatenate(LABELS), np.concatenate(scores))
        macro = np.mean([roc_auc_score(y, s) for y, s in zip(LABELS, scores, strict=True) if y.any()])
        assert found[f'one_class/auc_{key}'] == pytest.approx(micro)
        assert found[f'one_class/macro_auc_{key}'] == pytest.approx(macro)


def test_scaling_each_clip_is_told(caplog):
    metric = OneClassMetric(['none'], normalize_per_clip=True)
    found = numbers(metric)
    scaled = [(s - s.min()) / np.ptp(s) for s in SCORES]
    assert found['one_class/auc_unsmoothed'] == pytest.approx(
        roc_auc_score(np.concatenate(LABELS), np.concatenate(scaled))
    )
    assert 'this leaks the test clip' in metric.protocol['one_class/auc_unsmoothed']


def test_a_method_that_scales_its_components_per_clip_is_told():
    for more, is_told in (({}, False), (dict(score_normalisation='per_clip'), True)):
        metric = OneClassMetric(['none'])
        metric.process({}, list(samples(**more)))
        metric.numbers()
        text = metric.protocol['one_class/auc_unsmoothed']
        assert ('scaled to 0..1 by the method (per_clip): this leaks the test clip' in text) is is_told


def test_faults():
    metric = OneClassMetric()
    (first, *_) = samples()
    with pytest.raises(DataError, match='0: 39 scores for 40 frames'):
        metric.process({}, [{**first, 'pred_raw_logits': np.zeros(39)}])
    with pytest.raises(DataError, match='1 of 40 scores are NaN'):
        metric.process({}, [{**first, 'pred_raw_logits': np.append(np.zeros(39), np.nan)}])
    with pytest.raises(ConfigError, match='smoothing is empty'):
        OneClassMetric([])


def test_pixel_level_area_from_packed_masks():
    masks = np.zeros((4, 6, 10), bool)
    masks[:2, 2:4, 3:6] = True
    sample = {
        'video_id': 'a', 'ori_shape': (6, 10), 'gt_mask_bits': np.packbits(masks, axis=-1),
        'pred_detections': {
            'frame_inds': np.array([0, 1, 2]), 'scores': np.array([3.0, 2, 1]),
            'boxes_xyxy': np.array([[3, 2, 5, 3], [6, 2, 9, 3], [0, 0, 3, 3]]),
        },
    }  # fmt: skip
    metric = PixelLevelMetric()
    metric.process({}, [sample])
    # Frame 0 is found before any false alarm, frame 1 never.
    assert metric.numbers() == {'pixel/auc': 0.5}


def test_pixel_masks_of_no_clip_or_of_some(monkeypatch):
    said = []
    monkeypatch.setattr(PixelLevelMetric, 'log', lambda self, message: said.append(message))
    metric = PixelLevelMetric()
    metric.process({}, list(samples()))
    assert metric.numbers() == metric.protocol == {}
    assert said == ['no pixel-level AUC: the test clips have no pixel masks']
    nothing = {key: np.zeros((0, *rest)) for key, rest in dict(frame_inds=(), boxes_xyxy=(4,), scores=()).items()}
    full = dict(gt_mask_bits=np.ones((40, 1, 1), np.uint8), ori_shape=(1, 8), pred_detections=nothing)
    metric = PixelLevelMetric()
    metric.process({}, [sample | (full if sample['video_id'] == '0' else {}) for sample in samples()])
    with pytest.raises(DataError, match=r'2 of 3 test clips have no pixel masks \(first: 1\)'):
        metric.numbers()


def test_truth_of_no_clip_or_of_some(monkeypatch):
    said = []
    monkeypatch.setattr(OneClassMetric, 'log', lambda self, message: said.append(message))
    metric = OneClassMetric()
    metric.process({}, list(samples(gt_intervals=None)))
    assert metric.numbers() == metric.protocol == {}
    assert said == ['no AUC: the test clips have no truth']
    metric = OneClassMetric()
    metric.process({}, [*list(samples())[:2], list(samples(gt_intervals=None))[2]])
    with pytest.raises(DataError, match=r'1 of 3 test clips have no truth \(first: 2\)'):
        metric.numbers()
