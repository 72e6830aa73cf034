from tests.engine.conftest import toy_config, toy_runner  # noqa: F401 - fixtures
