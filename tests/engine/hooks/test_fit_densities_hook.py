from types import SimpleNamespace

import pytest

from vadlab.engine.hooks.fit_densities_hook import FitDensitiesHook
from vadlab.utils.errors import ConfigError


def test_several_processes_are_refused():
    runner = SimpleNamespace(world_size=2, model=SimpleNamespace())
    with pytest.raises(ConfigError, match='SimpleNamespace is fitted in one process'):
        FitDensitiesHook().before_train(runner)
    runner.world_size = 1
    FitDensitiesHook().before_train(runner)
