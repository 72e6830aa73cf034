"""MLflow's own client reads what the backend wrote; these tests are skipped where MLflow is not installed."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from vadlab.registry import VISBACKENDS
from vadlab.utils.config import load_config
from vadlab.utils.errors import ConfigError, MissingDependencyError
from vadlab.visualization.mlflow_vis_backend import MLflowVisBackend, flat_settings, mlflow_name

SETTINGS = {
    'model': {'type': 'A', 'sizes': [1, 2], 'what (m/s)': 3},
    'hooks': ({'type': 'B'}, None),
    'long': 'x' * 7000,
}


def backend(folder, uri=None):
    """The backend of a run in ``folder/work``."""
    uri = uri or f'sqlite:///{folder}/store/mlflow.db'
    return MLflowVisBackend(str(folder / 'work' / '20260101_000000' / 'vis_data'), tracking_uri=uri)


def test_names_and_settings_that_mlflow_takes():
    assert mlflow_name('caption2region/r@10 (%)') == 'caption2region/r_at_10 ___'
    assert flat_settings(SETTINGS) == {
        'model.type': 'A',
        'model.sizes': [1, 2],
        'model.what (m/s)': 3,
        'hooks.0.type': 'B',
        'hooks.1': None,
        'long': 'x' * 7000,
    }


@pytest.mark.parametrize('name', ['mlflow', 'aim', 'clearml'])
def test_one_variable_turns_a_tracker_on(name):
    kinds = [one['type'] for one in load_config('mil_demo', {name: True}).visualizer.vis_backends]
    (kind,) = set(kinds) - {one['type'] for one in load_config('mil_demo').visualizer.vis_backends}
    assert kind.lower() == f'{name}visbackend'
    assert VISBACKENDS.get(kind) is not None


def test_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'mlflow', None)
    with pytest.raises(MissingDependencyError, match=r'pip install "vadlab\[trackers\]"'):
        backend(tmp_path).add_scalars({'a': 1.0})


def test_run_is_stored(tmp_path):
    mlflow = pytest.importorskip('mlflow', reason='needs the extra trackers: pip install "vadlab[trackers]"')
    one = backend(tmp_path)
    one.add_config(Config(SETTINGS))
    log = tmp_path / 'work' / '20260101_000000' / '20260101_000000.log'
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text('a line')
    (tmp_path / 'work' / 'other_run.json').write_text('{}')
    one.add_scalars({'region/r@1': 0.25, 'loss': 2}, step=10)
    one.add_scalars({'region/r@1': np.float32(0.5), 'loss': float('nan')}, step=20)
    one.add_image('video/a@b', np.zeros((4, 4, 3), np.uint8), step=3)
    one.close()
    one.close()

    client = mlflow.MlflowClient(tracking_uri=f'sqlite:///{tmp_path}/store/mlflow.db')
    (experiment,) = [e for e in client.search_experiments() if e.name == 'vadlab']
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ('work/20260101_000000', 'FINISHED')
    params = run.data.params
    assert params['model.sizes'] == '[1, 2]'
    assert params['model.what _m/s_'] == '3'
    assert set('x') == set(params['long'].rstrip('.'))
    history = client.get_metric_history(run.info.run_id, 'region/r_at_1')
    assert [(m.step, m.value) for m in history] == [(10, 0.25), (20, 0.5)]
    stored = {
        path.relative_to(tmp_path / 'store').as_posix().split('artifacts/')[-1]
        for path in (tmp_path / 'store').rglob('*')
        if path.is_file()
    }
    assert {'config.py', '20260101_000000/20260101_000000.log'} <= stored
    assert any(path.startswith('pictures/video/a_at_b_3') for path in stored)
    assert not any('other_run' in path for path in stored)


def test_run_without_metrics_is_marked_as_failed(tmp_path):
    mlflow = pytest.importorskip('mlflow', reason='needs the extra trackers: pip install "vadlab[trackers]"')
    one = backend(tmp_path)
    one.add_config(Config(SETTINGS))
    one.close()
    (run,) = mlflow.search_runs(experiment_names=['vadlab'], output_format='list')
    assert run.info.status == 'FAILED'


def test_server_that_does_not_answer_is_one_message(tmp_path):
    pytest.importorskip('mlflow', reason='needs the extra trackers: pip install "vadlab[trackers]"')
    with pytest.raises(ConfigError, match=r'There is no MLflow server at http://127\.0\.0\.1:9'):
        backend(tmp_path, 'http://127.0.0.1:9').add_scalars({'a': 1.0})


def test_store_that_is_no_store_is_one_message(tmp_path):
    pytest.importorskip('mlflow', reason='needs the extra trackers: pip install "vadlab[trackers]"')
    (tmp_path / 'store').mkdir()
    Path(tmp_path / 'store' / 'mlflow.db').write_text(json.dumps('no database') * 1000)
    with pytest.raises(ConfigError, match='cannot be used'):
        backend(tmp_path).add_scalars({'a': 1.0})
