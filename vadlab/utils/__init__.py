from .errors import (
    CheckpointError,
    ConfigError,
    DataError,
    MissingDependencyError,
    MissingFileError,
    TrainingError,
    VADLabError,
)
from .setup_env import register_all_modules

__all__ = [
    'CheckpointError',
    'ConfigError',
    'DataError',
    'MissingDependencyError',
    'MissingFileError',
    'TrainingError',
    'VADLabError',
    'register_all_modules',
]
