import gc

import pytest

from vadlab.utils.cli import run_cli
from vadlab.utils.gc_pause import garbage_collection_paused
from vadlab.utils.setup_env import register_all_modules


@pytest.fixture
def unfrozen():
    gc.unfreeze()
    yield
    gc.collect()
    gc.freeze()


def test_garbage_is_searched_for_rarely_until_all_modules_are_loaded(unfrozen):
    usual, seen = gc.get_threshold(), []

    def main():
        seen.append((gc.get_threshold()[0] > 10 * usual[0], gc.get_freeze_count() > 0))
        register_all_modules()
        seen.append((gc.get_threshold() == usual, gc.get_freeze_count() > 0))

    with pytest.raises(SystemExit):
        run_cli(main)
    assert seen == [(True, False), (True, True)]
    assert gc.get_threshold() == usual


def test_a_command_that_loads_nothing_ends_as_usual(unfrozen):
    """Nothing is frozen: what the command leaves may be garbage."""
    usual = gc.get_threshold()
    with pytest.raises(SystemExit):
        run_cli(lambda: 3)
    assert (gc.get_threshold(), gc.get_freeze_count()) == (usual, 0)


def test_without_a_command_nothing_is_frozen(unfrozen):
    register_all_modules()
    assert gc.get_freeze_count() == 0


def test_a_pause_ends_with_an_error():
    seen = []

    def fail():
        with garbage_collection_paused():
            seen.append(gc.isenabled())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (seen, gc.isenabled()) == ([False], True)
