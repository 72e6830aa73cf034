import pytest
from mmengine.structures import BaseDataElement

from vadlab.evaluation.functional.captions.caption_scores import caption_scores
from vadlab.evaluation.functional.captions.wordnet import NO_WORDNET, WordNet
from vadlab.evaluation.metrics.caption_metric import CaptionMetric
from vadlab.registry import METRICS
from vadlab.utils.errors import DataError, MissingFileError

from .metric_samples import evaluate

KEYS = [f'caption/{name}' for name in ('bleu1', 'bleu2', 'bleu3', 'bleu4', 'meteor', 'rouge_l', 'cider', 'cider_d')]


def captioned(image_id, caption, references):
    sample = BaseDataElement(metainfo=dict(image_id=image_id))
    sample.pred_caption, sample.gt_captions = caption, references
    return sample


SAMPLES = [
    captioned(7, 'A man rides a horse.', ['a man on a horse', 'the man rides his horse']),
    captioned(9, 'two dogs', ['Two dogs run on the beach.']),
]


def test_numbers_are_those_of_the_functions_and_have_a_protocol():
    metric = METRICS.build(dict(type='CaptionMetric', wordnet=None))
    numbers = evaluate(metric, SAMPLES)
    expected = caption_scores([s.pred_caption for s in SAMPLES], [s.gt_captions for s in SAMPLES]).numbers
    assert numbers == {f'caption/{name}': value for name, value in expected.items()}
    assert list(numbers) == list(metric.protocol) == KEYS
    assert '1 to 2 references per image' in metric.protocol['caption/cider_d']
    assert set(metric.higher_is_better) == {key.removeprefix('caption/') for key in KEYS}


def test_an_image_that_comes_twice_counts_once():
    once, twice = (evaluate(CaptionMetric(wordnet=None), samples) for samples in (SAMPLES, [*SAMPLES, SAMPLES[1]]))
    assert once == twice


def test_an_empty_caption_scores_0():
    numbers = evaluate(CaptionMetric(wordnet=None), [SAMPLES[0], captioned(9, '', ['two dogs'])])
    assert 0 < numbers['caption/rouge_l'] < 0.5


def test_samples_without_captions_are_refused():
    metric = CaptionMetric(wordnet=None)
    with pytest.raises(DataError, match=r'no pred_caption \(text\) for image 3: None'):
        metric.process({}, [dict(image_id=3, gt_captions=['a'])])
    with pytest.raises(DataError, match=r'image 3 has no gt_captions \(a list of texts\): \[\]'):
        metric.process({}, [dict(image_id=3, pred_caption='a', gt_captions=[])])
    with pytest.raises(DataError, match='no sample was tested'):
        metric.evaluate(0)


def test_a_wordnet_that_is_named_must_be_there(tmp_path):
    with pytest.raises(MissingFileError, match='is not a WordNet folder or archive'):
        CaptionMetric(wordnet=str(tmp_path))


def test_missing_synonyms_are_told_once(monkeypatch):
    monkeypatch.setattr(WordNet, 'find', classmethod(lambda cls: None))
    for wordnet, times in (('auto', 1), (None, 0)):
        metric = CaptionMetric(wordnet=wordnet)
        said = []
        monkeypatch.setattr(metric, 'log', said.append)
        for _ in range(2):
            evaluate(metric, SAMPLES)
        assert said == [NO_WORDNET] * times
