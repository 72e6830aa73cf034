import numpy as np
import pytest
import torch

from vadlab.evaluation.metrics.retrieval_metric import RetrievalMetric
from vadlab.utils.errors import ConfigError, DataError

from .metric_samples import embedded, evaluate

X, Y, Z = np.eye(3)


def test_by_hand_both_ways():
    samples = [
        embedded('a', 'a man runs', X, X, ['red car'], [X], [Y]),
        embedded('b', 'A man runs', Y, X + 0.1 * Y, ['man', 'dog'], [Y, Z], [X, Z]),
        embedded('c', 'a dog', Z, Z),
    ]
    metric = RetrievalMetric(topk=(1, 2))
    numbers = evaluate(metric, samples)
    # Videos a and b share their caption's text. b (Y) is nearest to b's own caption, c to its own, a to a's.
    assert numbers['video2caption/r@1'] == 1
    assert numbers['video2caption/chance_r@1'] == pytest.approx((2 + 2 + 1) / 9)
    assert numbers['caption2video/r@1'] == 1
    # Regions: X -> 'man' is wrong, 'red car' third-tied; Y -> 'red car' is wrong; Z -> 'dog' is right.
    assert numbers['region/r@1'] == pytest.approx(1 / 3)
    assert numbers['region/medr'] == 3
    assert numbers['caption2region/r@2'] == pytest.approx(1 / 3)
    assert numbers['region/chance_r@1'] == pytest.approx(1 / 3)
    assert set(numbers) == set(metric.protocol)


def test_perfect_and_constant_embeddings():
    def samples(rows):
        return [embedded(str(i), f'caption {i}', rows[i], rows[i], [f'r {i}'], [rows[i]], [rows[i]]) for i in range(12)]

    perfect = evaluate(RetrievalMetric(), samples(np.eye(12)))
    constant = evaluate(RetrievalMetric(), samples(np.ones((12, 2))))
    for name in ('video2caption', 'caption2video', 'region', 'caption2region'):
        assert [perfect[f'{name}/{key}'] for key in ('r@1', 'r@5', 'r@10', 'medr')] == [1, 1, 1, 1]
        assert [constant[f'{name}/{key}'] for key in ('r@1', 'r@5', 'r@10', 'medr')] == [0, 0, 0, 12]
        assert perfect[f'{name}/chance_r@1'] == pytest.approx(1 / 12)


def test_videos_without_caption_or_regions_are_left_out():
    numbers = evaluate(
        RetrievalMetric(), [embedded('a', 'a man', X, X), embedded('b', '', Y, X), embedded('c', 'a', Z, Z)]
    )
    assert numbers['video2caption/chance_r@1'] == 0.5
    assert np.isnan([numbers['region/r@1'], numbers['caption2region/medr'], numbers['region/chance_r@1']]).all()


def test_only_what_was_asked_for():
    metric = RetrievalMetric(items=['region'], topk=[3])
    numbers = evaluate(metric, [embedded('a', 'a man', X, X, ['man'], [X], [X])])
    names = {f'{name}/{key}' for name in ('region', 'caption2region') for key in ('r@3', 'medr', 'chance_r@1')}
    assert set(numbers) == names == set(metric.protocol)
    assert metric.higher_is_better == {
        f'{n}/{k}': k == 'r@3' for n in ('region', 'caption2region') for k in ('r@3', 'medr')
    }


def test_missing_predictions():
    sample = embedded('a', 'a man', X, X, ['man', 'dog'], [X, Y], [X, Y])
    sample.pred_regions = sample.pred_regions[:1]
    with pytest.raises(DataError, match=r'a: pred_regions.embeds has the shape \(1, 3\).*2 regions'):
        RetrievalMetric().process({}, [sample])
    del sample.pred_regions.embeds
    with pytest.raises(DataError, match=r'pred_regions.embeds is missing'):
        RetrievalMetric().process({}, [sample])
    del sample.pred_regions
    with pytest.raises(DataError, match="predicts no 'pred_regions' for a"):
        RetrievalMetric().process({}, [sample])
    del sample.pred_video_embed
    with pytest.raises(DataError, match="predicts no 'pred_video_embed' for a"):
        RetrievalMetric().process({}, [sample])
    with pytest.raises(DataError, match='no sample was tested'):
        RetrievalMetric().evaluate(0)


def test_a_diverged_model_is_an_error():
    sample = embedded('a', 'a man', X, X)
    sample.pred_video_embed = torch.full((3,), float('nan'))
    with pytest.raises(DataError, match='NaN or infinite'):
        evaluate(RetrievalMetric(), [sample])


@pytest.mark.parametrize(
    'option', [dict(items=['frame']), dict(items='video'), dict(items=[]), dict(topk=[0]), dict(topk=[])]
)
def test_options_that_do_not_exist(option):
    with pytest.raises(ConfigError, match='items is|topk is'):
        RetrievalMetric(**option)
