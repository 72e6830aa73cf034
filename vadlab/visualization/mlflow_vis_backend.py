"""Logs of runs in MLflow."""

import atexit
import logging
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.visualization import MLflowVisBackend as MMMLflowVisBackend
from mmengine.visualization.vis_backend import force_init_env

from vadlab.registry import VISBACKENDS
from vadlab.utils.errors import ConfigError, MissingDependencyError

DEFAULT_URI = 'sqlite:///work_dirs/mlflow.db'
_REFUSED = re.compile(r'[^\w\-. :/]', re.ASCII)
_AT_ONCE = 100  # settings in one request, MLflow's limit


def mlflow_name(name: str) -> str:
    """A name with the characters that MLflow takes: letters, digits, and ``_-. :/``.

    >>> mlflow_name('region/r@1')
    'region/r_at_1'
    """
    return _REFUSED.sub('_', name.replace('@', '_at_'))


def flat_settings(value: Any, prefix: str = '') -> dict[str, Any]:
    """Settings by dotted key; a list is one setting unless it has dicts.

    >>> flat_settings({'a': {'b': [1, 2]}, 'c': [{'d': 3}]})
    {'a.b': [1, 2], 'c.0.d': 3}
    """
    if isinstance(value, Mapping):
        inner = [(str(key), one) for key, one in value.items()]
    elif isinstance(value, list | tuple) and any(isinstance(one, Mapping) for one in value):
        inner = [(str(i), one) for i, one in enumerate(value)]
    else:
        return {prefix: value} if prefix else {}
    found: dict[str, Any] = {}
    for key, one in inner:
        found |= flat_settings(one, f'{prefix}.{key}' if prefix else key)
    return found


def _require_server(uri: str) -> None:
    """Check that a server answers, which MLflow itself finds out after minutes.

    Raises:
        ConfigError: It does not.
    """
    parts = urlsplit(uri)
    try:
        socket.create_connection(
            (parts.hostname or '', parts.port or (443 if parts.scheme == 'https' else 80)), 10
        ).close()
    except (OSError, ValueError) as error:
        raise ConfigError(f'There is no MLflow server at {uri}: {error}. Start it, or correct mlflow_uri.') from error


@VISBACKENDS.register_module()
class MLflowVisBackend(MMMLflowVisBackend):
    """Writes settings, metrics per step, pictures and log files of a run to MLflow.

    It takes the arguments of MMEngine's backend. Differences, each with what MMEngine 0.10.12 does with MLflow 3:

    * ``tracking_uri`` is a SQLite file by default. MMEngine's default is a folder, which MLflow refuses.
    * Characters of names that MLflow refuses are replaced, see :func:`mlflow_name`. With MMEngine, one such name
      (``region/r@1``) loses all metrics of its step, and one such setting ends the run.
    * Files of a local store are beside it, and only those of this run are stored. MMEngine writes to ``mlruns`` in the
      working directory, and copies the logs of all runs in the work dir.
    * The run is named after its work dir and its start. It is marked as failed if it ends early.

    Raises:
        MissingDependencyError: MLflow is not installed.
        ConfigError: The store cannot be used.
    """

    _run_id: str

    def _init_env(self) -> None:
        try:
            import mlflow
        except ImportError as error:
            raise MissingDependencyError(
                'MLflowVisBackend needs MLflow: pip install "vadlab[trackers]"  (or: pip install mlflow)'
            ) from error
        logging.getLogger('mlflow').setLevel(logging.WARNING)
        logging.getLogger('alembic').setLevel(logging.WARNING)
        self._mlflow = mlflow
        self._has_metrics = False
        uri = self._tracking_uri or DEFAULT_URI
        location = self._artifact_location
        if uri.startswith('sqlite:///'):
            file = Path(uri.removeprefix('sqlite:///')).absolute()
            file.parent.mkdir(parents=True, exist_ok=True)
            location = location or (file.parent / f'{file.stem}_files').as_uri()
        elif uri.startswith('http'):
            _require_server(uri)
            # MLflow tries 7 times, for minutes, and the training waits.
            os.environ.setdefault('MLFLOW_HTTP_REQUEST_MAX_RETRIES', '2')
        log_dir = Path(self._save_dir).parent
        name = self._run_name or f'{log_dir.parent.name}/{log_dir.name}'
        try:
            mlflow.set_tracking_uri(uri)
            title = self._exp_name or 'vadlab'
            found = mlflow.get_experiment_by_name(title)
            experiment = found.experiment_id if found else mlflow.create_experiment(title, artifact_location=location)
            tags = {'vadlab.work_dir': str(log_dir.parent), **(self._tags or {})}
            self._run_id = mlflow.start_run(experiment_id=experiment, run_name=name, tags=tags).info.run_id
            if self._params:
                mlflow.log_params(self._params)
        except self._errors() as error:
            raise ConfigError(f'MLflow at {uri} cannot be used: {str(error).splitlines()[0]}') from error
        atexit.register(self._end_as_failed)

    @force_init_env
    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Store the settings, by dotted key, and the config as a file."""
        self.cfg = config
        settings = config.to_dict()
        if self._tracked_config_keys is not None:
            settings = {key: settings[key] for key in self._tracked_config_keys}
        flat = list(flat_settings(settings).items())
        for start in range(0, len(flat), _AT_ONCE):
            self._try(
                'settings', self._mlflow.log_params, {mlflow_name(k): v for k, v in flat[start : start + _AT_ONCE]}
            )
        self._try('the config', self._mlflow.log_text, config.pretty_text, 'config.py')

    @force_init_env
    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Store a picture as a file."""
        path = f'pictures/{mlflow_name(name)}_{step}.png'
        self._try(f'the picture {name}', self._mlflow.log_image, image, path)

    @force_init_env
    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Store a metric."""
        self.add_scalars({name: value}, step)

    @force_init_env
    def add_scalars(self, scalar_dict: dict, step: int = 0, file_path: str | None = None, **kwargs: Any) -> None:
        """Store metrics of one step."""
        self._has_metrics = True
        values = {mlflow_name(key): float(value) for key, value in scalar_dict.items()}
        self._try('metrics', self._mlflow.log_metrics, values, step)

    def _try(self, what: str, log: Any, *args: Any) -> None:
        """Store something; a store that fails ends no training."""
        try:
            log(*args)
        except self._errors() as error:
            print_log(f'MLflow did not store {what}: {str(error).splitlines()[0]}', 'current', logging.WARNING)

    def close(self) -> None:
        """Store the log files of this run, and end it; a run without any metric is marked as failed."""
        if not hasattr(self, '_run_id') or not self._is_open():
            return
        atexit.unregister(self._end_as_failed)
        log_dir = Path(self._save_dir).parent
        for path in sorted(log_dir.rglob('*')) if log_dir.is_dir() else ():
            if path.is_file() and path.suffix in self._artifact_suffix:
                place = path.parent.relative_to(log_dir.parent).as_posix()
                self._try(str(path), self._mlflow.log_artifact, str(path), place)
        self._mlflow.end_run('FINISHED' if self._has_metrics else 'FAILED')

    def _end_as_failed(self) -> None:
        if self._is_open():
            self._mlflow.end_run('FAILED')

    def _errors(self) -> tuple[type[Exception], ...]:
        """Errors of a store: MLflow's, and those of a damaged database or of files, which it passes on."""
        try:
            from sqlalchemy.exc import SQLAlchemyError
        except ImportError:  # a client for servers only
            return (self._mlflow.MlflowException, OSError)
        return (self._mlflow.MlflowException, SQLAlchemyError, OSError)

    def _is_open(self) -> bool:
        active = self._mlflow.active_run()
        return active is not None and active.info.run_id == self._run_id
