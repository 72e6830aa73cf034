from .errors import CheckpointError, ConfigError, DataError, MissingDependencyError, MissingFileError, VADLabError
from .setup_env import register_all_modules

__all__ = [
    'CheckpointError',
    'ConfigError',
    'DataError',
    'MissingDependencyError',
    'MissingFileError',
    'VADLabError',
    'register_all_modules',
]
