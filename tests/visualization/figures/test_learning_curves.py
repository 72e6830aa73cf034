import json

import numpy as np
import pytest

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.visualization.figures.learning_curves import read_learning_curve


def write(run_dir, stamp, records):
    path = run_dir / stamp / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(record if isinstance(record, str) else json.dumps(record) for record in records))
    return path


def train(iteration, time):
    return {'loss': 1.0, 'time': time, 'data_time': 0.1, 'epoch': 1, 'iter': iteration, 'step': iteration}


def val(auc, step):
    return {'frame/auc': auc, 'time': 99.0, 'data_time': 9.0, 'step': step}


def test_time_is_summed_over_iterations_and_validation_does_not_count(tmp_path):
    records = [val(0.5, 0), train(10, 6.0), train(20, 3.0), val(0.7, 1), train(40, 3.0), val(0.9, 2)]
    path = write(tmp_path / 'run', '20260101_000000', records)
    curve = read_learning_curve(tmp_path / 'run')
    np.testing.assert_allclose(curve.minutes, [0, 1.5, 2.5])
    np.testing.assert_allclose(curve.values, [0.5, 0.7, 0.9])
    assert curve.label == 'run'
    assert read_learning_curve(path, label='x').values.tolist() == [0.5, 0.7, 0.9]


def test_what_a_resumed_run_repeats_counts_once(tmp_path):
    write(
        tmp_path, '1', [train(10, 6), val(0.6, 1), train(20, 6), val(0.7, 2), train(30, 6), val(0.1, 3), '{"loss": 1']
    )
    write(tmp_path, '2', [train(30, 12), val(0.8, 3)])
    curve = read_learning_curve(tmp_path)
    np.testing.assert_allclose(curve.minutes, [1, 2, 4])
    np.testing.assert_allclose(curve.values, [0.6, 0.7, 0.8])


def test_missing_log_missing_metric_and_damaged_log(tmp_path):
    with pytest.raises(MissingFileError, match='work dir of a training run'):
        read_learning_curve(tmp_path)
    path = write(tmp_path, '1', [train(10, 1), val(0.5, 1)])
    with pytest.raises(DataError, match="no 'frame/ap'.*it holds: frame/auc$"):
        read_learning_curve(tmp_path, 'frame/ap')
    path.write_text('{"loss": \n' + json.dumps(val(0.5, 1)))
    with pytest.raises(DataError, match='line 1'):
        read_learning_curve(tmp_path)
