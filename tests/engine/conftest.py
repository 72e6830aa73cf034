import itertools
from pathlib import Path

import pytest

from vadlab.engine.runner import VADRunner
from vadlab.utils.config import load_config
from vadlab.utils.setup_env import register_all_modules

from . import toy

ROOT = Path(__file__).parents[2]
# Loggers and message hubs are global by the run's name and second, so every run needs a name of its own.
_numbers = itertools.count()


@pytest.fixture
def toy_config(tmp_path):
    """Writes a toy experiment; returns its config under the given options."""

    def make(work_dir=None, **options):
        path = tmp_path / f'toy{next(_numbers)}.py'
        path.write_text(toy.CONFIG.format(root=ROOT))
        config = load_config(path, {'tensorboard': False, **options})
        config.work_dir = str(work_dir or tmp_path / path.stem)
        return config

    register_all_modules()
    return make


@pytest.fixture
def toy_runner(toy_config):
    """Builds a runner of the toy experiment."""

    def make(work_dir=None, resume=None, hooks=(), **options):
        config = toy_config(work_dir, **options)
        if resume:
            config.resume, config.load_from = True, str(resume)
        runner = VADRunner.from_cfg(config)
        for hook in hooks:
            runner.register_hook(hook)
        return runner

    return make
