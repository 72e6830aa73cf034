"""When Python searches for cyclic garbage: rarely while a command loads, and never again in what is loaded by then."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Pause the search for cycles while very many objects are made: it visits all of them again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


_usual: tuple[int, int, int] | None = None


def search_rarely_while_loading() -> None:
    """Search less often until :func:`search_as_usual`. Loading makes many objects and no garbage."""
    global _usual
    if _usual is None:
        _usual = gc.get_threshold()
        gc.set_threshold(50_000, 20, 20)


def search_as_usual(all_is_loaded: bool = True) -> None:
    """End :func:`search_rarely_while_loading`.

    Args:
        all_is_loaded (bool): Whether what is there by now stays until the end, so that it is never visited again.
    """
    global _usual
    if _usual is not None:
        if all_is_loaded:
            gc.freeze()
        gc.set_threshold(*_usual)
        _usual = None
