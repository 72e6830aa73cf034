"""Cache for values that depend only on weights, valid while the weights are known not to change."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Generic, TypeVar

import torch

T = TypeVar('T')

#: The innermost scope: a unique object, and whether trainable weights may change in it.
_scope: ContextVar[tuple[object, bool] | None] = ContextVar('steady_weights', default=None)


@contextmanager
def steady_weights(learning: bool = False) -> Iterator[None]:
    """Scope in which weights do not change, as during a validation, a test, or the encoding of many videos.

    A change of weights cannot be detected: optimizers with ``fused=True`` and writes to ``tensor.data`` do not
    increment ``tensor._version``, and addresses are reused. So a :class:`WeightsCache` keeps a value only within such a
    scope. VADRunner runs its loops in one.

    Args:
        learning (bool): Only frozen weights do not change, as during training.

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
    """Caches one value that depends only on weights, within a scope of :func:`steady_weights`.

    Args:
        learns (bool): Whether the weights are trainable. If so, the value is kept only in a scope that is not
            ``learning`` and with gradients off.
    """

    def __init__(self, learns: bool = True) -> None:
        self.learns = learns
        self._kept: tuple[object, T] | None = None

    def get(self, compute: Callable[[], T]) -> T:
        """The cached value for this scope and autocast setting, or a new one from ``compute``."""
        scope = _scope.get()
        if scope is None or (self.learns and (scope[1] or torch.is_grad_enabled())):
            self._kept = None
            return compute()
        autocast = [(torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in ('cpu', 'cuda')]
        key = (scope[0], autocast)
        if self._kept is None or self._kept[0] != key:
            self._kept = (key, compute())
        return self._kept[1]
