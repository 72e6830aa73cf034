import json
from types import SimpleNamespace

import numpy as np
import pytest

from vadlab.apis import modality_ablation as ablation
from vadlab.evaluation.metrics.classification_metric import ClassificationMetric, HeadPredictions
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

CLASSES = ('fox', 'hare', 'wolf')


def said(decisions, labels=(0, 0, 1, 2)):
    return HeadPredictions(
        ('a', 'b', 'c', 'd'), CLASSES, np.eye(3)[list(decisions)], np.eye(3, dtype=bool)[list(labels)], False
    )


FOUND = {
    'video': {'species': said([0, 1, 1, 2])},
    'audio': {'species': said([0, 1, 0, 0])},
    'video and audio': {'species': said([0, 0, 1, 2])},
}


def test_rows_of_all_classes_and_of_a_subset_by_hand():
    whole, part = ablation.ablation_rows('mbt', FOUND, {'needs both': {'species': ['fox', 'hare']}})
    assert (whole.subset, whole.clips, whole.top1) == (
        ablation.ALL, 4, {'video': 0.75, 'audio': 0.25, 'video and audio': 1.0},
    )  # fmt: skip
    assert part.clips == 3
    assert part.top1 == pytest.approx({'video': 2 / 3, 'audio': 1 / 3, 'video and audio': 1.0})
    assert part.gain == pytest.approx(1 / 3)
    table = ablation.ablation_markdown([whole, part], soundless=2)
    assert '| mbt | species | needs both | 3 | 0.667 | 0.333 | 1.000 | +0.333 |' in table
    assert '2 clips have no sound' in table
    assert ablation.ablation_json([part])[0]['gain'] == pytest.approx(1 / 3)
    np.testing.assert_array_equal(ablation.class_recall(FOUND['audio']['species']), [0.5, 0, 0])


def test_subsets_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(DataError, match="odd names classes of 'calls'; heads of mbt are species"):
        ablation.ablation_rows('mbt', FOUND, {'odd': {'calls': ['bark']}})
    with pytest.raises(DataError, match="odd, species: 'cat' is not a class"):
        ablation.ablation_rows('mbt', FOUND, {'odd': {'species': ['cat']}})
    with pytest.raises(MissingFileError, match='no such file'):
        ablation.read_subsets([tmp_path / 'none.json'])
    (tmp_path / 'a.json').write_text('{')
    with pytest.raises(DataError, match='is not valid JSON'):
        ablation.read_subsets([tmp_path / 'a.json'])
    (tmp_path / 'a.json').write_text('{"species": "fox"}')
    with pytest.raises(DataError, match='must hold lists of classes by head'):
        ablation.read_subsets([tmp_path / 'a.json'])
    (tmp_path / 'needs_both.json').write_text(json.dumps({'species': ['fox']}))
    assert ablation.read_subsets([tmp_path / 'needs_both.json']) == {'needs both': {'species': ['fox']}}


def runner_of(modalities, metrics):
    model = SimpleNamespace(modalities=modalities)
    runner = SimpleNamespace(bare_model=model, test_evaluator=SimpleNamespace(metrics=metrics), asked=[])

    def test():
        runner.asked.append(model.modalities)
        metrics[0].predictions = {'species': ' and '.join(model.modalities)}

    runner.test = test
    return runner


def test_every_modality_alone_then_all_and_the_model_is_left_as_it_was():
    runner = runner_of(('video', 'audio'), [ClassificationMetric()])
    found = ablation.tested_with_each(runner)
    assert runner.asked == [('video',), ('audio',), ('video', 'audio')]
    assert {given: heads['species'] for given, heads in found.items()} == {name: name for name in found}
    assert runner.bare_model.modalities == ('video', 'audio')


def test_what_has_nothing_to_leave_out_is_an_error():
    with pytest.raises(ConfigError, match='uses video: there is nothing to leave out'):
        ablation.tested_with_each(runner_of(('video',), [ClassificationMetric()]))
    with pytest.raises(ConfigError, match='no ClassificationMetric'):
        ablation.tested_with_each(runner_of(('video', 'audio'), []))
