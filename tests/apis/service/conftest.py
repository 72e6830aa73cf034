import pytest

from tests.tools.tiny_ucf import write_video

from .running import CHECKER, running


@pytest.fixture(scope='package', autouse=True)
def _end_checker():
    yield
    CHECKER.close()


@pytest.fixture(scope='package')
def video(tmp_path_factory):
    """A short video."""
    return write_video(tmp_path_factory.mktemp('clip') / 'clip.mp4')


@pytest.fixture(scope='module')
def service(tmp_path_factory):
    """A running service without a token."""
    with running(tmp_path_factory.mktemp('service') / 'data') as found:
        yield found
