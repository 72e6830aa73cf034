import json

import numpy as np
import pytest

from tests.datasets.feature_sets import FRAMES, write_ucf
from vadlab.apis import Verification, VerificationReport, feature_check
from vadlab.apis.checks import CheckContext, SplitUnderTest
from vadlab.apis.checks.feature_checks import check_features
from vadlab.datasets.snippet_features import SnippetFeatures
from vadlab.utils.config import load_config
from vadlab.utils.errors import DataError
from vadlab.utils.many_files import Engine
from vadlab.utils.setup_env import register_all_modules

ARSON = 'features/Arson/Arson002_x264__1.npy'


@pytest.fixture
def ucf(tmp_path):
    return write_ucf(tmp_path)


def verify(root, cache_dir=None):
    """Findings of the checks of features alone, as (level, text)."""
    splits = []
    for name in ('train', 'test'):
        settings = dict(ann_file=f'{name}.csv', data_root=str(root), feature_dir='features')
        if name == 'test':
            settings |= dict(temporal_ann_file='temporal.txt', frames_file='frames.json', test_mode=True)
        dataset = SnippetFeatures(**settings)
        samples = [dataset.get_data_info(i) for i in range(len(dataset))]
        splits.append(SplitUnderTest(name, settings, dataset, samples))
    report = VerificationReport()
    check_features(splits, CheckContext(None, None, report, Engine(workers=2), 4, cache_dir, lambda done, total: None))
    return [(finding.level, f'{finding.check}: {finding.message}') for finding in report.findings]


def change(path, edit):
    feats = np.load(path)
    edit(feats)
    np.save(path, feats)


def texts(findings, level):
    return [text for found, text in findings if found == level]


def test_good_features_pass(ucf):
    findings = verify(ucf)
    assert texts(findings, 'failure') == texts(findings, 'warning') == []
    passes = texts(findings, 'pass')
    assert passes[0].startswith('train features: 6 files, 42 snippets, finite; mean norm 2.')
    assert 'test lengths: 3 videos, 213 frames; 3 of these counts are of the videos' in passes


def test_numbers_that_are_not_finite_fail_and_are_named(ucf):
    change(ucf / ARSON, lambda feats: feats.__setitem__((2, 1), np.nan))
    [text] = texts(verify(ucf), 'failure')
    assert text.startswith('train features: 1 of 6 files cannot be used: ')
    assert 'Arson002_x264__1.npy: NaN or infinite in 1 of 5 snippets (first: 2)' in text


def test_snippets_of_zeros_and_another_scale_are_named(ucf):
    change(ucf / ARSON, lambda feats: feats[3:].fill(0))
    for path in (ucf / 'features').rglob('*1_x264__*.npy'):
        if '001' in path.name:
            change(path, lambda feats: feats.__imul__(np.float16(20)))
    warnings = texts(verify(ucf), 'warning')
    assert '2 snippets of 1 files are all zeros' in warnings[0]
    assert 'is one set normalised, or another?' in warnings[1]
    assert warnings[1].startswith('test features: their mean norm is ')


def test_intervals_outside_their_video(ucf):
    (ucf / 'temporal.txt').write_text('Arson001_x264 Arson 20 120\nFighting001_x264 Fighting 40 50\n')
    assert any(
        'of 2 videos reach beyond them and are clipped: Arson001_x264, F' in t for t in texts(verify(ucf), 'warning')
    )
    (ucf / 'temporal.txt').write_text('Arson001_x264 Arson 20 170\nFighting001_x264 Fighting 60 70\n')
    with pytest.raises(DataError, match='2 intervals in temporal.txt lie outside their video'):
        verify(ucf)


def test_second_look_reads_the_cache(ucf, tmp_path, monkeypatch):
    opened = []
    read = feature_check.open_features
    monkeypatch.setattr(feature_check, 'open_features', lambda path: opened.append(path) or read(path))
    first = verify(ucf, str(tmp_path / 'cache'))
    assert len(opened) == 12
    assert verify(ucf, str(tmp_path / 'cache')) == first
    assert len(opened) == 12
    change(ucf / ARSON, lambda feats: feats.__setitem__((0, 0), np.inf))
    assert texts(verify(ucf, str(tmp_path / 'cache')), 'failure')
    assert len(opened) == 13


CONFIG = """
_base_ = ['{root}/configs/_base_/datasets/ucf_crime_features.py', '{root}/configs/default_runtime.py']
data_root = '{data}'
feature_dir = 'features'
ann_file = 'train.csv'
test_ann_file = 'test.csv'
temporal_ann_file = 'temporal.txt'
frames_file = 'frames.json'
feature_dim = 8
batch_size = 2
num_workers = 0
max_snippets = 32
resample = 'segment_mean'
crops = 'all'
tensorboard = False
model = dict(type='MILRanking', feature_dim=feature_dim, hidden_dims=(8, 4))
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
train_cfg = dict(by_epoch=True, max_epochs=1)
val_cfg = dict()
test_cfg = dict()
"""


def run(root, pytestconfig, cache=None, **options):
    register_all_modules()
    path = root / 'config.py'
    path.write_text(CONFIG.format(root=pytestconfig.rootpath, data=root))
    report = Verification(load_config(path, options), workers=1, cache_dir=cache).run()
    return [(finding.level, f'{finding.check}: {finding.message}') for finding in report.findings]


def test_whole_experiment_passes(ucf, pytestconfig):
    findings = run(ucf, pytestconfig)
    assert texts(findings, 'failure') == []
    passes = '\n'.join(texts(findings, 'pass'))
    for text in (
        'train annotations: 3 samples, 1 normal\n',
        'splits: no video is in train and in another split',
        'train features: 6 files',
        'val lengths: 3 videos, 213 frames',
        'sanity check: loss ',
    ):
        assert text in passes + '\n'
    assert 'boxes' not in passes
    assert 'regions' not in passes


def test_lists_that_fail_and_splits_that_overlap(ucf, pytestconfig):
    (ucf / 'frames.json').write_text(json.dumps({**FRAMES, 'Arson001_x264': 10}))
    findings = run(ucf, pytestconfig)
    [text] = [text for text in texts(findings, 'failure') if text.startswith('val annotations')]
    assert '1 videos have features longer than the video' in text
    findings = run(ucf, pytestconfig, frames_file=None, ann_file='test.csv')
    overlap = 'splits: 3 videos are in train and in val: Arson001_x264, Fighting001_x264, Normal_Videos_001_x264'
    assert overlap in texts(findings, 'warning')


def test_a_cache_that_cannot_be_written_is_a_warning(ucf, pytestconfig, tmp_path):
    """Such as of a user without a home: the checks are done all the same."""
    (tmp_path / 'file').write_text('')
    findings = run(ucf, pytestconfig, cache=tmp_path / 'file' / 'verify')
    reason = f'results of file checks are not kept: {tmp_path}/file/verify: Not a directory'
    assert ('warning', f'cache: {reason}') in findings
    assert any(text.startswith('train features:') for _, text in findings)
