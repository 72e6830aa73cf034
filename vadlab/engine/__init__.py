from . import hooks, loops, optim
from .runner import VADRunner
from .smoke_pass import smoke_pass

__all__ = ['VADRunner', 'hooks', 'loops', 'optim', 'smoke_pass']
