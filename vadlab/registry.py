"""VADLab's registries: children of MMEngine's, scope ``vadlab``.

They behave as MMEngine's do, and also check configs: an unknown ``type``, a keyword that the constructor does not take,
or a value of another type is a :class:`~vadlab.utils.errors.ConfigError` that suggests the nearest known name.
"""

import importlib
import pkgutil
import re
from typing import Any

from mmengine import registry as mm
from mmengine.registry import Registry as MMRegistry
from mmengine.registry import build_from_cfg

from .utils.errors import ConfigError
from .utils.suggest import nearest

# What torch says of a tensor that the machine has no memory for, and of one with more bytes than 64 bits can count.
_ALLOCATED = re.compile(r'tried to allocate (\d+) bytes')
_OVERFLOWED = re.compile(r'(?i)overflow|too large to convert')


def _build(cfg: Any, registry: MMRegistry, default_args: Any = None) -> Any:
    """Check a part's options against its constructor, as the check of a whole config does, and build it."""
    from .utils.config_check import option_problems  # takes a second to load, and most commands build nothing

    kind = cfg.get('type') if isinstance(cfg, dict) else None
    target = registry.get(kind) if isinstance(kind, str) else kind
    if callable(target) and (problems := option_problems(cfg, target)):
        raise ConfigError(f'{getattr(target, "__name__", kind)}: ' + ' '.join(problems))
    try:
        return build_from_cfg(cfg, registry, default_args)
    except (RuntimeError, MemoryError, OverflowError, TypeError) as error:
        if isinstance(error, ConfigError) or (why := _memory_fault(error)) is None:
            raise
        name = getattr(target, '__name__', kind)
        raise ConfigError(f'{name} does not fit into memory ({why}). Check the sizes in the config.') from error


def _memory_fault(error: Exception) -> str | None:
    """Why an array of a part could not be made, as a phrase; None for other errors."""
    text = str(error)
    if found := _ALLOCATED.search(text):
        return f'one of its arrays has {int(found[1]) / 1e9:,.0f} GB'
    if isinstance(error, MemoryError) or 'out of memory' in text:
        return text.partition('\n')[0][:200] or 'no memory is left'
    return 'a size is too large for torch' if _OVERFLOWED.search(text) else None


#: Parts that had another name in version 0.1; configs and checkpoints may still use it.
RENAMED = {
    'CaptionVisualizationHook': 'VisualizationHook',
    'ClipVisualizationHook': 'VisualizationHook',
    'SharedVideosHook': 'SplitLeakageHook',
    'SmokePassHook': 'SanityCheckHook',
    'TrainStateHook': 'LogScalarsHook',
    'UndisturbedValidationHook': 'PreserveRNGHook',
    'VADVisualizationHook': 'VisualizationHook',
}


class Registry(MMRegistry):
    """MMEngine's registry, with a suggestion of the nearest known names when a part is not found."""

    _imported: bool  # MMEngine's, set by its constructor

    def __init__(self, name: str, **kwargs: Any) -> None:
        kwargs.setdefault('build_func', _build)
        super().__init__(name, **kwargs)

    def import_from_location(self) -> None:
        """Import every module below the registry's packages, once; a new module needs no entry in a list."""
        if self._imported:
            return
        self._imported = True
        for location in self._locations:
            found = importlib.import_module(location)
            for module in pkgutil.walk_packages(getattr(found, '__path__', []), f'{location}.'):
                importlib.import_module(module.name)

    def get(self, key: str) -> type | None:
        """The class registered under ``key`` here or in a parent registry.

        Raises:
            ConfigError: There is no such name; the message lists the nearest ones.
        """
        scope, dot, name = key.rpartition('.')
        key = f'{scope}{dot}{RENAMED.get(name, name)}'
        found = super().get(key)
        if found is None and '.' not in key:
            known = set(self.module_dict)
            registry = self.parent
            while registry is not None:
                known |= set(registry.module_dict)
                registry = registry.parent
            raise ConfigError(f'There is no {self.name} called {key!r}. {nearest(key, sorted(known))}')
        return found


def _child(name: str, parent: MMRegistry, *locations: str) -> Registry:
    return Registry(name, parent=parent, scope='vadlab', locations=list(locations))


MODELS = _child('model', mm.MODELS, 'vadlab.models')
MODEL_WRAPPERS = _child('model wrapper', mm.MODEL_WRAPPERS, 'vadlab.engine')
TOKENIZERS = Registry('tokenizer', scope='vadlab', locations=['vadlab.models.tokenizers'])
DATASETS = _child('dataset', mm.DATASETS, 'vadlab.datasets', 'vadlab.simulators.surveillance.synthetic_frames')
DATA_SAMPLERS = _child('data sampler', mm.DATA_SAMPLERS, 'vadlab.datasets')
TRANSFORMS = _child('transform', mm.TRANSFORMS, 'vadlab.datasets.transforms')
METRICS = _child('metric', mm.METRICS, 'vadlab.evaluation')
HOOKS = _child('hook', mm.HOOKS, 'vadlab.engine')
LOOPS = _child('loop', mm.LOOPS, 'vadlab.engine')
OPTIMIZERS = _child('optimizer', mm.OPTIMIZERS, 'vadlab.engine')
OPTIM_WRAPPERS = _child('optimizer wrapper', mm.OPTIM_WRAPPERS, 'vadlab.engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child('optimizer wrapper constructor', mm.OPTIM_WRAPPER_CONSTRUCTORS, 'vadlab.engine')
PARAM_SCHEDULERS = _child('parameter scheduler', mm.PARAM_SCHEDULERS, 'vadlab.engine')
LOG_PROCESSORS = _child('log processor', mm.LOG_PROCESSORS, 'vadlab.engine')
VISUALIZERS = _child('visualizer', mm.VISUALIZERS, 'vadlab.visualization')
RENDERERS = Registry('renderer', scope='vadlab', locations=['vadlab.visualization.renderers'])
VISBACKENDS = _child('visualizer backend', mm.VISBACKENDS, 'vadlab.visualization')
