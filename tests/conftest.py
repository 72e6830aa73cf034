import gc
import signal

import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run, so that a failure repeats; --thorough tries more.
_CALM = dict(derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
settings.register_profile('usual', max_examples=20, **_CALM)
settings.register_profile('thorough', max_examples=300, **_CALM)
settings.load_profile('usual')


def pytest_addoption(parser):
    parser.addoption('--runslow', action='store_true', help='also run the tests marked slow')
    parser.addoption('--thorough', action='store_true', help='run every test, with more examples and damaged files')


def pytest_configure(config):
    # A shell script that starts `make test &` has SIGINT ignored, and so would the runs that tests interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.load_profile('thorough' if config.getoption('--thorough') else 'usual')


def pytest_collection_modifyitems(config, items):
    thorough = config.getoption('--thorough')
    left_out = [] if thorough else ['thorough'] if config.getoption('--runslow') else ['thorough', 'slow']
    option = {'slow': '--runslow', 'thorough': '--thorough'}
    for item in items:
        for mark in left_out:
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=f'{mark}; run with {option[mark]}'))


@pytest.fixture(autouse=True, scope='module')
def loaded_modules_are_no_garbage():
    """Every dataset that is built starts a search for garbage; it takes seconds if all loaded modules are visited."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub on this machine (tests/hub_server.py), an empty cache, and no token."""
    package = pytest.importorskip('huggingface_hub')
    import huggingface_hub.constants as constants

    from tests.hub_server import HubServer
    from vadlab.utils.hub_files import open_repository

    for name in ('HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN', 'HF_HUB_OFFLINE'):
        monkeypatch.delenv(name, raising=False)
    with HubServer().running() as server:
        values = {
            'ENDPOINT': server.endpoint,
            'HUGGINGFACE_CO_URL_TEMPLATE': server.endpoint + '/{repo_id}/resolve/{revision}/{filename}',
            'HF_HUB_CACHE': str(tmp_path / 'cache'),
            'HF_TOKEN_PATH': str(tmp_path / 'token'),
            'HF_HUB_OFFLINE': False,
            'HF_HUB_DISABLE_XET': True,  # large files go by LFS, which the server speaks
        }
        for name, value in values.items():
            monkeypatch.setattr(constants, name, value)
        open_repository.cache_clear()
        yield server
        open_repository.cache_clear()
        package.close_session()
