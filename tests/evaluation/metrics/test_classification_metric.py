import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement

from vadlab.registry import METRICS
from vadlab.utils.errors import ConfigError, DataError

from .metric_samples import evaluate

CLASSES = {'species': ('fox', 'hare', 'wolf'), 'action': ('run', 'sit')}


def clip(name, scores, labels):
    sample = BaseDataElement(metainfo=dict(clip_id=name))
    sample.pred_scores = {head: torch.tensor(values) for head, values in scores.items()}
    sample.gt_labels = {head: torch.tensor(value) for head, value in labels.items()}
    return sample


SAMPLES = [
    clip('a', dict(species=[0.7, 0.2, 0.1], action=[0.9, 0.6]), dict(species=0, action=[1.0, 1.0])),
    clip('b', dict(species=[0.4, 0.5, 0.1], action=[0.2, 0.1]), dict(species=0, action=[0.0, 0.0])),
    clip('c', dict(species=[0.3, 0.6, 0.1], action=[0.4, 0.7]), dict(species=1, action=[0.0, 1.0])),
]


def build(**options):
    metric = METRICS.build(dict(type='ClassificationMetric', **options))
    metric.dataset_meta = {'classes': CLASSES}
    return metric


def test_numbers_of_every_head_by_hand_with_their_protocol():
    metric = build()
    numbers = evaluate(metric, SAMPLES)
    assert numbers == pytest.approx({
        'species/top1': 2 / 3, 'species/macro_f1': 2 / 3, 'species/map': 1.0,
        'action/top1': 2 / 3, 'action/macro_f1': 1.0, 'action/map': (1 + 1) / 2,
        'mean/top1': 2 / 3, 'mean/macro_f1': 5 / 6, 'mean/map': 1.0,
    })  # fmt: skip
    assert set(metric.protocol) == set(numbers)
    assert metric.protocol['species/map'].endswith('mean over 2 classes, 1 without clips skipped')
    assert 'one of its labels' in metric.protocol['action/top1']
    assert 'probability >= 0.5' in metric.protocol['action/macro_f1']


def test_heads_choose_and_order(tmp_path):
    metric = build(heads=['action'], threshold=0.8)
    assert set(evaluate(metric, SAMPLES)) == {'action/top1', 'action/macro_f1', 'action/map'}
    metric = build(heads=['action', 'species'], tsv=str(tmp_path / 'results.tsv'))
    evaluate(metric, SAMPLES)
    cells = (tmp_path / 'results.tsv').read_text().splitlines()[2].split('\t')
    assert cells[:3] == ['2', '2', '0']
    np.testing.assert_allclose([float(v) for v in cells[4][1:-1].split(',')], [0.3, 0.6, 0.1], rtol=1e-6)
    assert cells[5:] == ['[0, 1]', '[0, 1, 0]']


def test_a_clip_of_unknown_label_does_not_count():
    metric = build(heads=['species'])
    unknown = clip('d', dict(species=[0.1, 0.1, 0.8]), dict(species=-1))
    assert evaluate(metric, [*SAMPLES, unknown])['species/top1'] == pytest.approx(2 / 3)
    assert metric.predictions['species'].clip_ids == ('a', 'b', 'c')


def test_predictions_of_some_classes_keep_what_may_be_predicted():
    metric = build()
    evaluate(metric, SAMPLES)
    found = metric.predictions['species'].of_classes(['fox'])
    assert (found.clip_ids, found.scores.shape) == (('a', 'b'), (2, 3))
    with pytest.raises(DataError, match="'cat' is not a class; classes are fox, hare, wolf"):
        metric.predictions['species'].of_classes(['cat'])
    with pytest.raises(DataError, match='no tested clip is of wolf'):
        metric.predictions['species'].of_classes(['wolf'])


def test_what_lacks_is_named(tmp_path):
    with pytest.raises(DataError, match="pred_scores of clip a has no head 'sex', only species, action"):
        evaluate(build(heads=['sex']), SAMPLES)
    with pytest.raises(DataError, match='no sample was tested'):
        evaluate(build(), [])
    with pytest.raises(ConfigError, match='threshold is 2'):
        build(threshold=2)
    with pytest.raises(ConfigError, match='tsv needs heads'):
        build(tsv=str(tmp_path / 'x.tsv'))
    with pytest.raises(ConfigError, match='tsv .* is a folder. Name a file'):
        build(tsv=str(tmp_path), heads=['species'])
    bare = BaseDataElement(metainfo=dict(clip_id='a'))
    with pytest.raises(DataError, match="the model predicts no 'pred_scores' for a"):
        evaluate(build(), [bare])
