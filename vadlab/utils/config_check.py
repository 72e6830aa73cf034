"""The check of a config: unknown keys, types and ranges at any depth, before any part is built.

Settings are checked against the constructor that receives them: its parameters are the known keys, and their
annotations the types. :data:`RANGES` adds ranges of numbers, for names that mean the same in every constructor; a
constructor checks everything else itself. Dicts without a ``type`` (the whole config, data loaders, ``clip_grad``, ...)
are checked against the signature of the function that MMEngine passes them to.
"""

import contextlib
import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, cast

import numpy as np
import torch
from mmengine.hooks import CheckpointHook as MMCheckpointHook
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import (
    FUNCTIONS,
    HOOKS,
    LOG_PROCESSORS,
    LOOPS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    Registry,
)
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner, TestLoop, ValLoop
from mmengine.utils import get_object_from_string
from torch.utils.data import DataLoader

from .errors import ConfigError
from .suggest import nearest

F = TypeVar('F', bound=Callable)

# ---- ranges ---------------------------------------------------------------------------------------------------------


#: torch converts settings such as a learning rate to float32, and refuses larger ones in the middle of a step.
FLOAT32_MAX = torch.finfo(torch.float32).max


class Range(NamedTuple):
    """Numbers from ``low`` to ``high``."""

    low: float
    high: float = math.inf
    above: bool = False  # low itself is excluded

    def has(self, number: float) -> bool:
        """Whether a number is in the range; infinity and numbers beyond float32 never are."""
        return self.low <= number <= min(self.high, FLOAT32_MAX) and not (self.above and number == self.low)

    def __str__(self) -> str:
        if self.high < math.inf:
            return f'in {self.low:g}..{self.high:.10g}'
        return f'> {self.low:g}' if self.above else f'>= {self.low:g}'


_WIDEST, _DEEPEST = 2**20, 10_000  # beyond, a size is an error, and would fill the memory

#: Ranges of numbers by name of the setting. The default of a constructor is always allowed (-1 for "never").
RANGES: dict[str, Range] = {
    **dict.fromkeys(
        # loops, loaders, hooks
        ['max_epochs', 'max_iters', 'val_interval', 'accumulative_counts', 'batch_size', 'interval', 'window_size']
        + ['max_keep_ckpts', 'interval_exp_name', 'prefetch_factor', 'num_batch_per_epoch', 'patience', 'step_size']
        # models and pipelines
        + ['image_size', 'patch_size', 'tubelet_size', 'num_frames', 'snippet_len', 'max_snippets', 'context_length']
        + ['vocab_size', 'memory_slots', 'num_captions', 'kernel_size', 'max_len', 'max_words', 'num_segments']
        + ['crop_size', 'columns', 'candidates', 'chunk_size', 'stride', 'size', 'strides']
        + ['bottlenecks', 'num_tokens', 'prototypes', 'num_prototypes', 'neighbours', 'num_nearest']
        + ['pairs_per_step', 'refresh_every', 'min_pairs', 'topk', 'window', 'score_window', 'max_anchors', 'max_boxes']
        + ['contrast_batch', 'chunk', 'output_size', 'grid_size', 'frame_interval', 'num_tiles', 'dpi']
        + ['num_patches', 'max_patches', 'workers']
        # one-class methods
        + ['num_items', 'window_stride', 'clip_len', 'clip_stride', 'num_scales', 'num_components', 'num_samples']
        + ['units', 'max_exemplars'],
        Range(1),
    ),
    **dict.fromkeys(
        ['lr', 'weight_decay', 'eps', 'min_epochs', 'save_begin', 'timeout']
        + ['lr_mult', 'decay_mult', 'begin', 'milestones', 'check_weights_every', 'max_bad_videos', 'warmup_steps']
        + ['length_tolerance', 'min_region_frames', 'opencv_num_threads', 'long_context_length', 'num_digits']
        + ['val_begin', 'max_gb', 'brightness', 'contrast', 'saturation', 'min_delta']
        # loss terms: a weight below 0 would train away from what the term is for
        + ['loss_weight', 'weight_l2', 'align_weight', 'distance_weight', 'feature_weight', 'kl_weight', 'logit_weight']
        + ['magnitude_weight', 'memory_weight', 'separation_weight', 'smoothness_weight', 'sparsity_weight']
        + ['triplet_weight', 'adapter_weight', 'margin', 'min_distance']
        + ['contrast_weight', 'pair_weight', 'rank_weight', 'max_margin', 'max_similarity', 'pad_id']
        + ['compact_weight', 'separate_weight', 'entropy_weight', 'regular_weight', 'shrink_threshold']
        # counts that may be none
        + ['adapted_blocks', 'prompt_prefix', 'prompt_postfix', 'fusion_layer', 'sampling_ratio', 'num_bands']
        + ['num_times', 'band_width', 'time_width', 'iterations'],
        Range(0),
    ),
    **dict.fromkeys(
        ['embed_dim', 'width', 'heads', 'hidden_dim', 'ffn_width', 'feature_dim', 'prompt_dim', 'attention_dim']
        + ['head_dim', 'mlp_dim', 'hidden_dims', 'channels', 'base_channels', 'in_channels', 'teacher_width'],
        Range(1, _WIDEST),
    ),
    **dict.fromkeys(['layers', 'decoder_layers'], Range(0, _DEEPEST)),
    'seed': Range(0, 2**32 - 1),  # NumPy takes no other
    'T_max': Range(1),
    'num_workers': Range(0, 1024),  # processes
    **dict.fromkeys(
        ['max_norm', 'norm_type', 'clip_value', 'clip_threshold', 'temperature', 'class_temperature']
        + ['std', 'audio_std', 'ratio', 'mlp_ratio', 'sigma_low', 'sigma_high', 'fps', 'clip_s'],
        Range(0, above=True),
    ),
    **dict.fromkeys(
        ['betas', 'momentum', 'dropout', 'prob', 'min_ratio', 'warmup_ratio', 'label_smoothing', 'normal_share']
        + ['time_share', 'iou_threshold', 'ious', 'score_thr', 'psnr_weight'],
        Range(0, 1),
    ),
}

# ---- signatures of dicts without a type -----------------------------------------------------------------------------
# The Runner and MMEngine read these keys one by one; the functions below declare them as signatures.


def _config(  # beside the arguments of the Runner
    log_level: int | Literal['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'],
    launcher: Literal['none', 'pytorch', 'slurm', 'mpi'],
    default_hooks: dict[str, dict | None] | None,
    work_dir: str | Path | None,
    load_from: str | Path | None,
    env_cfg: dict | None,
    custom_imports: dict | None,
    allow_config_change: bool,
    sanity_check: bool,
    smoke_pass: bool,  # the former name of sanity_check
    find_unused_parameters: bool,
    sync_bn: str | None,
    compile: bool | dict,
    model_wrapper_cfg: dict | None,
    activation_checkpointing: Any,
    efficient_conv_bn_eval: Any,
    features: dict | None,
    feature_config: str | None,
) -> None: ...


def _env_cfg(
    cudnn_benchmark: bool, mp_cfg: dict | None, dist_cfg: dict | None, resource_limit: int, tf32: bool
) -> None: ...


def _mp_cfg(mp_start_method: Literal['fork', 'spawn', 'forkserver'] | None, opencv_num_threads: int) -> None: ...


def _randomness(seed: int | None, diff_rank_seed: bool, deterministic: bool) -> None: ...


def _custom_imports(imports: str | list[str], allow_failed_imports: bool) -> None: ...


def _clip_by_norm(type: str, max_norm: float, norm_type: float, error_if_nonfinite: bool, foreach: bool) -> None: ...


def _clip_by_value(type: str, clip_value: float, foreach: bool) -> None: ...


def _optim_wrapper(constructor: str | dict, paramwise_cfg: dict | None) -> None: ...


def _loop(by_epoch: bool) -> None: ...


def _scheduler(convert_to_iter_based: bool) -> None: ...


def _loader(batch_size: int, num_batch_per_epoch: int | None) -> None: ...


def _log_processor(window_size: int, by_epoch: bool) -> None: ...


def _data_parallel(
    broadcast_buffers: bool,
    find_unused_parameters: bool,
    static_graph: bool,
    gradient_as_bucket_view: bool,
    bucket_cap_mb: float | None,
) -> None: ...


def _hook(priority: int | str | None) -> None: ...


def _checkpoints(priority: int | str | None, rule: Literal['greater', 'less'] | list | None) -> None: ...


def _named_groups(groups: dict[str, dict]) -> None: ...


def _group(pattern: str, name: str, lr_mult: float, decay_mult: float) -> None: ...


def _parameter_rules(
    custom_keys: dict[str, dict],
    bias_lr_mult: float,
    bias_decay_mult: float,
    norm_decay_mult: float,
    flat_decay_mult: float,
    dwconv_decay_mult: float,
    dcn_offset_lr_mult: float,
    bypass_duplicate: bool,
) -> None: ...


#: Signatures of dicts without a type, by dotted key.
_WITHOUT_TYPE: dict[str, tuple[Callable, ...]] = {
    '': (Runner, _config),
    'env_cfg': (_env_cfg,),
    'env_cfg.mp_cfg': (_mp_cfg,),
    'randomness': (_randomness,),
    'custom_imports': (_custom_imports,),
    'train_dataloader': (DataLoader,),
    'val_dataloader': (DataLoader,),
    'test_dataloader': (DataLoader,),
    'val_cfg': (ValLoop,),
    'test_cfg': (TestLoop,),
    'optim_wrapper': (OptimWrapper,),
    'model_wrapper_cfg': (MMDistributedDataParallel,),
}
#: Keys that are read before a constructor gets the rest, and annotations that MMEngine omits or leaves wide.
_BESIDE: dict[str, Callable] = {
    'train_cfg': _loop,
    'optim_wrapper': _optim_wrapper,
    'param_scheduler': _scheduler,
    'param_scheduler.*': _scheduler,
    'train_dataloader': _loader,
    'val_dataloader': _loader,
    'test_dataloader': _loader,
    'log_processor': _log_processor,
    'model_wrapper_cfg': _data_parallel,
    'default_hooks.checkpoint': _checkpoints,
    'default_hooks.*': _hook,
    'custom_hooks.*': _hook,
}
#: Constructors whose ``**kwargs`` are not options: they cause an error long after the start.
_CLOSED = {MMCheckpointHook}
#: Packages whose parts build their inner parts from the same registries.
_OURS = ('vadlab', 'mmengine', 'torch')

# ---- the check ------------------------------------------------------------------------------------------------------


def check_config(config: Mapping[str, Any], where: str) -> None:
    """Refuse a config that has an unknown key, a value of another type, or a number out of its range.

    Args:
        config (Mapping[str, Any]): The Runner's config.
        where (str): The config's name, for the message.

    Raises:
        ConfigError: The message lists everything that was found, one line each.
    """
    found = config_problems(config)
    if found:
        count = f'{len(found)} settings cannot be used' if len(found) > 1 else 'a setting cannot be used'
        raise ConfigError(f'{where}: {count}.\n' + '\n'.join(f'  {line}' for line in found))


def config_problems(config: Mapping[str, Any], registries: Sequence[Registry] | None = None) -> list[str]:
    """Settings that cannot be used, each as ``model.vision.layer: CLIPVisionTransformer takes no option ...``.

    Parts are the dicts that have a ``type``. Options that a constructor takes as ``**kwargs`` are not checked.

    Args:
        config (Mapping[str, Any]): The Runner's config.
        registries (Sequence[Registry] | None): Registries in which types are looked up, with their parents; None for
            those of the config's ``default_scope``.

    Returns:
        list[str]: One line per option, in the order of the config.
    """
    scope = config.get('default_scope')
    names, closed = _known_types(scope if isinstance(scope, str) else 'vadlab', registries)
    return list(_Check(config, names).problems(config, '', closed, None))


def option_problems(part: Mapping[str, Any], target: Callable) -> list[str]:
    """Options of one part that its constructor does not take; values that are already built are skipped.

    Args:
        part (Mapping[str, Any]): The part's config.
        target (Callable): Its class.
    """
    settings = _settings(target)
    plain = {k: v for k, v in part.items() if isinstance(v, bool | int | float | str | list | tuple | dict | None)}
    return [] if settings is None else list(_signature_problems(plain, '', _title(target, 'part'), settings))


def checked_arguments(function: F) -> F:
    """Decorator of functions for notebooks: refuses unknown options, other types and numbers out of their range.

    Unlike a config, a call gives built objects, not dicts of them.

    Raises:
        ConfigError: By the decorated function, with its name.
    """
    title = function.__qualname__.removesuffix('.__init__')

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        settings = _settings(function) or {}
        if unknown := [name for name in kwargs if name not in settings]:
            raise ConfigError(f'{title} takes no option {unknown[0]!r}. {nearest(unknown[0], sorted(settings))}')
        given = inspect.signature(function).bind(*args, **kwargs).arguments
        for name in settings.keys() & given.keys():
            value = given[name].item() if isinstance(given[name], np.generic) else given[name]
            value = str(value) if isinstance(value, torch.device) else value
            for problem in _value_problems(value, settings[name], RANGES.get(name), name, 'an object of {}'):
                raise ConfigError(f'{title}: {problem}')
        return function(*args, **kwargs)

    return cast(F, call)


#: Registries whose names mean the same in every package that builds on MMEngine.
_OF_THE_RUNNER = [HOOKS, LOG_PROCESSORS, LOOPS, OPTIMIZERS, OPTIM_WRAPPERS, OPTIM_WRAPPER_CONSTRUCTORS]
_OF_THE_RUNNER += [PARAM_SCHEDULERS]


def _known_types(scope: str, registries: Sequence[Registry] | None) -> tuple[dict[str, Any], bool]:
    """Registered classes by name (the first one of a name), and whether all names of the scope are among them."""
    from vadlab import registry  # here, since it imports this package

    ours = [part for part in vars(registry).values() if isinstance(part, registry.Registry)]
    closed = registries is not None or scope == 'vadlab'
    if registries is None:
        registries = ours if closed else _OF_THE_RUNNER
    names: dict[str, Any] = {}
    for start in [*registries, FUNCTIONS]:
        level: Registry | None = start
        while level is not None:
            level.import_from_location()
            for name, part in level.module_dict.items():
                names.setdefault(name, part)
                names.setdefault(f'{level.scope}.{name}', part)
            level = level.parent
    return names, closed


class _Check:
    """One pass over a config.

    Args:
        config (Mapping[str, Any]): The whole config.
        names (Mapping[str, Any]): Classes by type.
    """

    def __init__(self, config: Mapping[str, Any], names: Mapping[str, Any]) -> None:
        self.wrapper: Any = config.get('optim_wrapper')
        self.names = names

    def problems(self, node: Any, path: str, closed: bool, receiver: Any) -> Iterator[str]:
        """Problems of a node and of everything below it.

        Args:
            node (Any): A value of the config.
            path (str): Its dotted key.
            closed (bool): Whether each type must be registered.
            receiver (Any): The callable that it is passed to, or its default type.
        """
        settings = None
        if isinstance(node, Mapping):
            kind = node.get('type')
            if isinstance(kind, str) and '.' in kind and kind not in self.names and kind.split('.')[0] not in _OURS:
                return  # how another package reads it is not known here
            targets = self._targets(node, path) or ((self._named(receiver),) if receiver and kind is None else ())
            settings = _all_settings(targets)
            if settings is not None:
                yield from _signature_problems(node, path, _title(targets[0], path), settings)
            elif isinstance(kind, str) and closed and not targets and '.' not in kind:
                known = sorted(name for name in self.names if '.' not in name)
                yield f'{path}.type: there is no part called {kind!r}. {nearest(kind, known, limit=12)}'
            closed = closed and all(target.__module__.split('.')[0] in _OURS for target in targets)
        elif not isinstance(node, list | tuple):
            return
        for key, value in node.items() if isinstance(node, Mapping) else enumerate(node):
            inner = settings[key].receiver if settings and key in settings else None
            yield from self.problems(value, f'{path}.{key}' if path else str(key), closed, inner)

    def _targets(self, node: Mapping[str, Any], path: str) -> tuple[Callable, ...]:
        """The callables that a dict's entries are passed to; empty if unknown."""
        kind = node.get('type')
        found: tuple[Callable, ...] = ()
        if path == 'optim_wrapper.clip_grad':
            return (_clip_by_value if kind == 'value' else _clip_by_norm,)
        if path.startswith('optim_wrapper.paramwise_cfg'):
            return self._of_parameters(path)
        if kind is not None:
            target = self._named(kind)
            found = (target,) if callable(target) else found
        elif path == 'train_cfg':
            found = (EpochBasedTrainLoop if node.get('by_epoch', True) else IterBasedTrainLoop,)
        elif path == 'optim_wrapper' and 'optimizer' not in node:
            return ()  # several optimizers, with a custom constructor
        else:
            found = _WITHOUT_TYPE.get(path, ())
        beside = _BESIDE.get(path) or _BESIDE.get(re.sub(r'\.\w+$', '.*', path))
        return (*found, beside) if found and beside else found

    def _of_parameters(self, path: str) -> tuple[Callable, ...]:
        """The callables that ``paramwise_cfg`` and its groups are passed to."""
        constructor = self._named(self.wrapper.get('constructor') or 'DefaultOptimWrapperConstructor')
        name = getattr(constructor, '__name__', '')
        found: Callable | None = _named_groups if name == 'NamedGroupsConstructor' else None
        if name == 'DefaultOptimWrapperConstructor':
            found = _parameter_rules
        if found is None or path == 'optim_wrapper.paramwise_cfg':
            return (found,) if found else ()
        if not path.startswith(('optim_wrapper.paramwise_cfg.groups.', 'optim_wrapper.paramwise_cfg.custom_keys.')):
            return ()
        settings = self.wrapper.get('optimizer')
        optimizer = self._named(settings.get('type')) if isinstance(settings, Mapping) else None
        return (optimizer, _group) if callable(optimizer) else ()

    def _named(self, kind: Any) -> Any:
        """The class of a type; None if unknown."""
        if not isinstance(kind, str):
            return kind
        found = self.names.get(kind)
        if found is None and '.' in kind:
            with contextlib.suppress(Exception):  # a missing package is reported when the part is built
                found = get_object_from_string(kind)
        return found


def _title(target: Callable, path: str) -> str:
    """How messages name the part that takes an option."""
    if path.endswith('_dataloader'):
        return 'a data loader'
    name = getattr(target, '__name__', str(target))
    return path if name.startswith('_') else name if path else 'a config'


def _signature_problems(
    node: Mapping[str, Any], path: str, title: str, settings: Mapping[str, '_Setting']
) -> Iterator[str]:
    """Problems of the entries of a dict that do not match a signature."""
    for key, value in node.items():
        place = f'{path}.{key}' if path else str(key)
        if key in ('type', '_scope_'):
            continue
        if key not in settings and _ANY in settings:
            continue
        if key not in settings:
            yield f'{place}: {title} takes no option {key!r}. {nearest(str(key), sorted(settings))}'
            continue
        allowed = RANGES.get(str(key))
        yield from _value_problems(value, settings[key], allowed, place)


def _value_problems(
    value: Any, setting: '_Setting', allowed: Range | None, place: str, part: str = 'a dict with a type ({})'
) -> Iterator[str]:
    """Problems of a value: its type, and its range; ``part`` is how messages call an object."""
    hint, default, _ = setting
    is_dict_for_object = (
        'dict' not in part and isinstance(value, Mapping) and 'a dict' not in _describe(hint, part=part)
    )
    if is_dict_for_object or not _fits(value, hint):
        for at, wrong, wanted in _innermost(value, hint, place):
            yield f'{at} must be {_describe(wanted, allowed, part)}, not {_shown(wrong)}.'
    elif allowed is not None and value != default and any(_is_out(n, allowed) for n in _as_list(value)):
        numbers = [number for number in _as_list(value) if _is_out(number, allowed)]
        finite = 'finite and ' if allowed.high == math.inf and math.inf in numbers else ''
        limit = ' and fit float32' if any(FLOAT32_MAX < number < math.inf for number in numbers) else ''
        yield f'{place} must be {finite}{allowed}{limit}, not {_shown(value)}.'


def _innermost(value: Any, hint: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    """Place, value and annotation of each misfit; in a dict or list of the right kind, of its misfit entries."""
    for arm in typing.get_args(hint) if typing.get_origin(hint) in (Union, types.UnionType) else [hint]:
        args = [arg for arg in typing.get_args(arm) if arg is not Ellipsis]
        if isinstance(value, Mapping) and len(args) == 2 and _fits({}, arm):
            entries, inner = value.items(), args[1]
        elif isinstance(value, list | tuple) and len(args) == 1 and _fits([], arm):
            entries, inner = dict(enumerate(value)).items(), args[0]
        else:
            continue
        for key, entry in entries:
            if not _fits(entry, inner):
                yield from _innermost(entry, inner, f'{place}.{key}')
        return
    yield place, value, hint


def _as_list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _is_out(value: Any, allowed: Range) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not allowed.has(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'


# ---- what a constructor takes ---------------------------------------------------------------------------------------


class _Setting(NamedTuple):
    """A parameter.

    Attributes:
        receiver (Any): What a dict is passed to: the callable of an ``Annotated[dict, callable]``, or the default type.
    """

    hint: Any
    default: Any
    receiver: Any = None


#: Entry in the settings of a constructor that accepts any other keyword.
_ANY = '**'


def _all_settings(targets: Sequence[Callable]) -> dict[str, _Setting] | None:
    """Parameters of several targets together; the annotation of the last one counts. None if unknown."""
    found: dict[str, _Setting] = {}
    for target in targets:
        settings = _settings(target)
        if settings is None:
            return None
        found |= settings
    return found if targets else None


@cache
def _settings(target: Callable) -> dict[str, _Setting] | None:
    """Parameters of a constructor or function; None if they cannot be inspected."""
    if not inspect.isclass(target):
        return _parameters(target)
    found: dict[str, _Setting] = {}
    for cls in inspect.getmro(target)[:-1]:
        constructor = vars(cls).get('__init__')
        if constructor is None:
            continue
        own = _parameters(constructor)
        if own is None:
            return None
        found = own | found
        if _ANY not in own or cls in _CLOSED:
            found.pop(_ANY, None)
            break
        if not _forwards_kwargs(constructor):  # else the next class declares the keywords
            break
    return found


def _parameters(function: Callable) -> dict[str, _Setting] | None:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    space = getattr(inspect.unwrap(function), '__globals__', {})
    found = {}
    for p in parameters:
        if p.kind is p.VAR_KEYWORD:
            found[_ANY] = _Setting(Any, p.empty)
        elif p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != 'self':
            hint = _hint(p, space)
            found[p.name] = _Setting(hint, p.default, _receiver(hint))
    return found


def _hint(parameter: inspect.Parameter, space: dict[str, Any]) -> Any:
    """The annotation of a parameter; Any if there is none, it cannot be read, or its own default does not match it."""
    hint = parameter.annotation
    if isinstance(hint, str):
        try:
            hint = eval(hint, dict(space))
        except Exception:
            return Any
    if hint is parameter.empty:
        return Any
    if parameter.default is None:
        return Union[hint, None]  # noqa: UP007 - | does not take every annotation
    return hint if parameter.default is parameter.empty or _fits(parameter.default, hint) else Any


def _receiver(hint: Any) -> Any:
    if typing.get_origin(hint) in (Union, types.UnionType):
        return next(filter(None, map(_receiver, typing.get_args(hint))), None)
    return hint.__metadata__[0] if typing.get_origin(hint) is Annotated else None


def _forwards_kwargs(function: Callable) -> bool:
    """Whether a constructor passes its ``**kwargs`` to the constructor of a base class."""
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        return False
    name = next(p.name for p in inspect.signature(function).parameters.values() if p.kind is p.VAR_KEYWORD)
    return re.search(rf'\.__init__\([^()]*\*\*{name}\b', source) is not None


# ---- annotations ----------------------------------------------------------------------------------------------------


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value of a config fits an annotation; parts are dicts there, and tuples may be lists."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is None or hint is types.NoneType:
        return value is None
    if origin in (Union, types.UnionType):
        return any(_fits(value, arg) for arg in args)
    if origin is Literal:
        return value in args
    if origin is Annotated:
        return _fits(value, args[0])
    kind = origin or hint
    if kind in (Any, object) or not inspect.isclass(kind):
        return True
    if kind is bool:
        return isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
    if issubclass(kind, str):
        return isinstance(value, str)
    if issubclass(kind, Path):
        return isinstance(value, str | Path)
    if issubclass(kind, Mapping):
        return isinstance(value, Mapping) and (
            len(args) != 2 or all(_fits(k, args[0]) and _fits(v, args[1]) for k, v in value.items())
        )
    if kind is Callable:
        return callable(value) or isinstance(value, Mapping)
    if kind in (list, tuple, set, frozenset) or (issubclass(kind, Iterable) and issubclass(list, kind)):
        return _fits_elements(value, kind, args)
    if isinstance(value, Mapping) or kind in (torch.device, torch.dtype):
        return True
    return isinstance(value, kind) or not isinstance(value, bool | int | float | str | list | tuple | types.NoneType)


def _fits_elements(value: Any, kind: type, args: tuple[Any, ...]) -> bool:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return False
    if kind is tuple and args and args[-1] is not Ellipsis:
        values = list(value)
        return len(values) == len(args) and all(map(_fits, values, args))
    return not args or all(_fits(v, args[0]) for v in value)


def _describe(hint: Any, allowed: Range | None = None, part: str = 'a dict with a type ({})') -> str:
    """An annotation in words; ``allowed`` is the range of its numbers, ``part`` the words for an object."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        plain = [arg for arg in args if arg not in (torch.Tensor, Path)]
        return ' or '.join(dict.fromkeys(_describe(arg, allowed, part) for arg in plain))
    if origin is Literal:
        return ' or '.join(map(repr, args))
    if origin is Annotated:
        return _describe(args[0], allowed, part)
    kind = origin or hint
    if kind in (int, float):
        return ('a whole number' if kind is int else 'a number') + (f' {allowed}' if allowed else '')
    words = {bool: 'True or False', str: 'a string', types.NoneType: 'None'}
    if kind in words:
        return words[kind]
    if kind is tuple and args and args[-1] is not Ellipsis:
        return f'a list of {len(args)} ({", ".join(_describe(arg, allowed) for arg in args)})'
    if issubclass(kind, Mapping):
        return 'a dict'
    if issubclass(list, kind) or kind in (tuple, set, frozenset):
        return 'a list' + (f' (each {_describe(args[0], allowed)})' if args else '')
    return part.format(kind.__name__)
