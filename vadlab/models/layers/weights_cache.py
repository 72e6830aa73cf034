"""What follows from weights alone, computed once for as long as they are known not to change."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Generic, TypeVar

import torch

T = TypeVar('T')

#: The innermost scope: an object of its own, and whether weights that learn may change in it.
_scope: ContextVar[tuple[object, bool] | None] = ContextVar('steady_weights', default=None)


@contextmanager
def steady_weights(learning: bool = False) -> Iterator[None]:
    """A scope in which nobody writes to weights, as during a validation, a test, or the encoding of many videos.

    A change of weights cannot be seen from outside: optimizers with ``fused=True`` and writes to ``tensor.data`` do not
    raise ``tensor._version``, and addresses are used again. So a :class:`WeightsCache` keeps something only in such a
    scope, and never beyond its end. VADRunner runs its loops in one.

    Args:
        learning (bool): Only weights that do not learn are steady, as during training.

    Example::

        >>> cache = WeightsCache()
        >>> with torch.no_grad(), steady_weights():
        ...     cache.get(lambda: torch.ones(1)) is cache.get(lambda: torch.ones(1))
        True
    """
    token = _scope.set((object(), learning))
    try:
        yield
    finally:
        _scope.reset(token)


class WeightsCache(Generic[T]):
    """Keeps one value that follows from weights, inside a scope of :func:`steady_weights`.

    Args:
        learns (bool): Whether the weights learn: the value is then kept only where the scope is not ``learning``, and
            never where gradients are wanted.
    """

    def __init__(self, learns: bool = True) -> None:
        self.learns = learns
        self._kept: tuple[object, T] | None = None

    def get(self, compute: Callable[[], T]) -> T:
        """What ``compute`` returns, or returned before in this scope and under the same autocast."""
        scope = _scope.get()
        if scope is None or (self.learns and (scope[1] or torch.is_grad_enabled())):
            self._kept = None
            return compute()
        autocast = [(torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in ('cpu', 'cuda')]
        key = (scope[0], autocast)
        if self._kept is None or self._kept[0] != key:
            self._kept = (key, compute())
        return self._kept[1]
