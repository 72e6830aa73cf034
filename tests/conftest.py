import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run, so that a failure repeats; --thorough tries more.
_CALM = dict(derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
settings.register_profile('usual', max_examples=20, **_CALM)
settings.register_profile('thorough', max_examples=300, **_CALM)
settings.load_profile('usual')


def pytest_addoption(parser):
    parser.addoption('--runslow', action='store_true', help='also run the tests marked slow')
    parser.addoption('--thorough', action='store_true', help='more examples per property test and more damaged files')


def pytest_configure(config):
    settings.load_profile('thorough' if config.getoption('--thorough') else 'usual')


def pytest_collection_modifyitems(config, items):
    if config.getoption('--runslow'):
        return
    skip = pytest.mark.skip(reason='slow; run with --runslow')
    for item in items:
        if 'slow' in item.keywords:
            item.add_marker(skip)
