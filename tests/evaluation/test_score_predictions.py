import tracemalloc

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from vadlab.datasets.formats.temporal_annotations import intervals_to_mask
from vadlab.evaluation import score_files
from vadlab.evaluation.functional import Smoothing, snippet_to_frame
from vadlab.evaluation.protocols import PROTOCOLS, VideoTruth
from vadlab.evaluation.score_files import read_scores
from vadlab.evaluation.score_predictions import ScoringOptions, score_predictions
from vadlab.utils.errors import DataError

PROTOCOL = PROTOCOLS['ucf-crime']


@st.composite
def evaluations(draw):
    """Ground truth, class probabilities of snippets or frames, their unit, and a smoothing."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    unit, decimals = draw(st.sampled_from(['snippet', 'frame'])), draw(st.sampled_from([1, 3, 12]))
    smoothing = draw(st.sampled_from([None, 'forward_window(7)', 'fixed_blocks(8)']))
    truth, scores = {}, {}
    for i, label in enumerate([1, 0, *draw(st.lists(st.integers(0, 13), max_size=4))]):
        snippets = int(rng.integers(2, 30))
        start, end = np.sort(rng.choice(np.arange(1, snippets * 16), 2, replace=False)).tolist()
        truth[f'v{i}'] = VideoTruth(snippets * 16, label, [(label, start, end)] if label else [])
        shares = rng.dirichlet(np.ones(14), snippets).round(decimals).astype(np.float32)
        if unit == 'frame':
            shares = np.repeat(shares, 16, axis=0)
            if smoothing is None:
                shares = rng.permutation(shares)
        scores[f'v{i}'] = shares
    return truth, scores, unit, smoothing


@settings(max_examples=25, deadline=None)
@given(evaluations())
def test_all_numbers_of_frames_equal_scikit_learn_on_all_frames(case):
    truth, scores, unit, smoothing = case
    report = score_predictions(scores, truth, PROTOCOL, ScoringOptions(unit=unit, smoothing=smoothing))
    frames, labels, probabilities, masks = [], [], [], []
    for name, video in truth.items():
        shares = scores[name] if unit == 'snippet' else scores[name][::16] if smoothing else scores[name]
        each = 1 if len(shares) == video.num_frames else 16
        one = 1 - shares[:, 0]
        if smoothing:
            one = Smoothing.parse(smoothing)(one)
        frames.append(snippet_to_frame(one, each))
        labels.append(intervals_to_mask(video.intervals, video.num_frames))
        probabilities.append(snippet_to_frame(shares, each))
        masks.append(np.full(video.num_frames, video.label) * labels[-1])
        np.testing.assert_array_equal(report.scores[name], frames[-1])
        np.testing.assert_array_equal(report.labels[name], labels[-1])
    every, truths = np.concatenate(frames), np.concatenate(labels)
    anomalous = [i for i, label in enumerate(labels) if label.any()]
    fpr, tpr, _ = sk.roc_curve(truths, every, drop_intermediate=False)
    after = int(np.argmax(fpr + tpr - 1 >= 0))
    share = (1 - fpr - tpr)[after - 1] / ((fpr + tpr)[after] - (fpr + tpr)[after - 1])
    normal = np.concatenate([frame for frame, label in zip(frames, labels, strict=True) if not label.any()])
    of_classes, classes = np.concatenate(probabilities), np.concatenate(masks)
    expected = {
        'frame/auc': sk.roc_auc_score(truths, every),
        'frame/ap': sk.average_precision_score(truths, every),
        'frame/ano_auc': sk.roc_auc_score(*(np.concatenate([p[i] for i in anomalous]) for p in (labels, frames))),
        'frame/macro_auc': np.mean([sk.roc_auc_score(labels[i], frames[i]) for i in anomalous]),
        'frame/eer': fpr[after - 1] + share * (fpr[after] - fpr[after - 1]),
        'frame/far': np.mean(normal >= 0.5),
        'frame/mauc': np.mean([sk.roc_auc_score(classes == i, of_classes[:, i]) for i in set(classes.tolist()) - {0}]),
    }
    for key, value in expected.items():
        assert report.metrics[key] == pytest.approx(value, abs=1e-12), key
    assert (report.num_frames, report.num_anomalous) == (len(truths), truths.sum())


def write_set(folder, videos, snippets):
    rng = np.random.default_rng(0)
    folder.mkdir()
    truth = {}
    for i in range(videos):
        np.save(folder / f'v{i}.npy', rng.random(snippets * 16, np.float32))
        truth[f'v{i}'] = VideoTruth(snippets * 16, i % 2, [(1, 5, 99)] if i % 2 else [])
    return truth


def test_files_are_read_one_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(score_files, '_MOST_KEPT', 0)
    write_set(tmp_path / 'scores', 40, 1024)
    read_scores(tmp_path / 'scores')  # loads what is loaded at first use
    tracemalloc.start()
    scores = read_scores(tmp_path / 'scores')
    assert tracemalloc.get_traced_memory()[1] < 2**20  # of 2.5 MiB of scores
    tracemalloc.stop()
    np.testing.assert_array_equal(scores['v3'], np.load(tmp_path / 'scores/v3.npy'))


def test_scores_that_stay_in_memory_and_those_read_again_give_the_same(tmp_path, monkeypatch):
    truth = write_set(tmp_path / 'scores', 4, 64)
    found = []
    for most in (0, 5000, 2**28):
        monkeypatch.setattr(score_files, '_MOST_KEPT', most)
        report = score_predictions(read_scores(tmp_path / 'scores'), truth, PROTOCOL, ScoringOptions())
        found.append(report.metrics)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(('changed', 'message'), [(np.zeros(3), 'changed while'), (np.full(1024, np.nan), 'NaN')])
def test_a_file_that_changes_meanwhile_is_refused(tmp_path, monkeypatch, changed, message):
    monkeypatch.setattr(score_files, '_MOST_KEPT', 0)
    truth = write_set(tmp_path / 'scores', 2, 64)
    scores = read_scores(tmp_path / 'scores')
    np.save(tmp_path / 'scores/v1.npy', changed.astype(np.float32))
    with pytest.raises(DataError, match=f'v1.*{message}'):
        score_predictions(scores, truth, PROTOCOL, ScoringOptions())
