import logging

import pytest
from mmengine.logging import MMLogger


@pytest.fixture
def log(caplog):
    """pytest's caplog, which also gets the messages of MMEngine's logger from INFO on."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO)
    yield caplog
    logger.removeHandler(caplog.handler)
