"""What all inferencers share: the config, the model with its weights, the device."""

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.logging import MMLogger

from vadlab.apis.features.extraction import default_device
from vadlab.checkpoints.checkpoint_io import in_our_names, load_weights, read_checkpoint
from vadlab.checkpoints.weights_hash import weights_sha256
from vadlab.engine.build_errors import config_mistakes
from vadlab.registry import MODELS, TRANSFORMS
from vadlab.utils.config import load_config
from vadlab.utils.errors import ConfigError
from vadlab.utils.many_files import Engine, over_files
from vadlab.utils.required_files import NO_CHECKPOINT
from vadlab.utils.runtime import quiet_third_parties
from vadlab.utils.setup_env import register_all_modules, set_up_worker


class BaseInferencer:
    """Base class of inferencers: a trained model that predicts for any files.

    Args:
        config (Config | str | Path): The experiment.
        checkpoint (str | Path | None): Trained weights, ours or in a layout of the method's authors; None or ``none``
            for a model that loads its weights itself.
        device (str | None): Device of the model; by default the GPU, if there is one.
        backend (str): ``torch``; or ``onnxruntime``, and ``checkpoint`` is a folder that ``tools/export.py`` wrote.

    Raises:
        ConfigError: The config has no model, or the method needs a checkpoint.
        CheckpointError: The weights do not fit the model.
    """

    def __init__(
        self,
        config: Config | str | Path,
        checkpoint: str | Path | None = None,
        device: str | None = None,
        backend: str = 'torch',
    ) -> None:
        if backend not in ('torch', 'onnxruntime'):
            raise ConfigError(f'backend={backend!r} is neither torch nor onnxruntime.')
        self.config_path = str((config.filename or '') if isinstance(config, Config) else config)
        self.checkpoint = '' if checkpoint in (None, NO_CHECKPOINT) else str(checkpoint)
        if not isinstance(config, Config):
            quiet_third_parties()
            register_all_modules()
            config = load_config(config, {})
        if config.get('model') is None:
            raise ConfigError(f'{self.config_path or "The config"} does not define a model.')
        self.config = config
        self.backend = backend
        #: The arguments, by which a worker of an engine makes the same; classes with more arguments add theirs.
        self.made_by: dict[str, Any] = dict(config=config, checkpoint=self.checkpoint, device=device)
        self.device = torch.device('cpu') if backend == 'onnxruntime' else usable_device(device)
        self.check_config(config)
        if backend == 'onnxruntime':
            self._use_exported(device)
            return
        content = read_checkpoint(self.checkpoint) if self.checkpoint else {}
        self.meta: dict[str, Any] = content.get('meta') or {}
        model = copy.deepcopy(config.model)
        if config.get('data_preprocessor') is not None:  # as the Runner does
            model.setdefault('data_preprocessor', copy.deepcopy(config.data_preprocessor))
        with config_mistakes():
            self.model = MODELS.build(model)
        self.check_model()
        name = config.model.type
        if content:
            load_weights(self.model, in_our_names(self.model, content['state_dict'], self.checkpoint), self.checkpoint)
        elif getattr(self.model, 'needs_training', False):
            raise ConfigError(f'{name} is a trained method. Give a checkpoint.')
        elif not hasattr(self.model, 'needs_training') and config.model.get('pretrained') is None:
            raise ConfigError(f'{name}: without a checkpoint and without model.pretrained its weights would be random.')
        else:
            with only_warnings():
                self.model.init_weights()
        #: Identifies the weights, or the settings of a method without weights, so that a calibration is used
        #: only with those that it was made with.
        self.weights_id = getattr(self.model, 'identity', None) or weights_sha256(
            content['state_dict'] if content else self.model.state_dict()
        )
        self.model.to(self.device).eval()

    def _use_exported(self, device: str | None) -> None:
        """Let onnxruntime run the model of an exported folder."""
        from vadlab.apis.deployment.exported_folder import ExportedFolder
        from vadlab.apis.deployment.onnx_backend import build_exported

        if device not in (None, 'cpu'):
            raise ConfigError(f'The backend onnxruntime runs on the CPU here, not on {device!r}. Leave the device out.')
        exported = ExportedFolder(self.checkpoint)
        self.meta = {}
        self.model = build_exported(self.config, exported)
        self.check_model()
        self.weights_id = exported.manifest.weights
        self.model.eval()

    def elsewhere(
        self,
        prepare: Callable[[Any], Callable[[Any], Any]],
        items: Sequence[Any],
        engine: Engine,
        threads: int,
        in_order: bool = False,
    ) -> Iterator[tuple[Any, Any]]:
        """Work on items by an engine, each of whose workers makes an inferencer of its own.

        Args:
            prepare (Callable): Takes the worker's inferencer, returns the function that works on an item; can be
                pickled, as can items and results.
            items (Sequence): What to work on.
            engine (Engine): What does the work.
            threads (int): Threads of a worker.
            in_order (bool): Deliver results in the order of the items.

        Yields:
            tuple: An item, and its result or :class:`~vadlab.utils.many_files.Lost`.
        """
        start = partial(_start_in_worker, type(self), self.made_by, prepare)
        gpus = float(self.device.type == 'cuda')
        for number, result in over_files(start, items, engine, threads=threads, gpus=gpus, in_order=in_order):
            yield items[number], result

    def fills_batches(self, wanted: bool | None) -> bool:
        """Whether a batch has parts of several videos: as wanted; None: on a GPU, where short batches waste time."""
        return self.device.type != 'cpu' if wanted is None else wanted

    def check_config(self, config: Config) -> None:
        """Check the config before weights are read; inferencers override it.

        Raises:
            ConfigError: The config is of another task.
        """

    def check_model(self) -> None:
        """Check the model before weights are loaded; inferencers override it.

        Raises:
            ConfigError: The model is of another task.
        """


def _start_in_worker(
    kind: type[BaseInferencer], made_by: dict[str, Any], prepare: Callable[[Any], Callable[[Any], Any]]
) -> Callable[[Any], Any]:
    """Build an inferencer in a worker; return what works on an item."""
    set_up_worker()
    device = made_by['device']
    if made_by.get('backend', 'torch') == 'torch' and device in (None, 'cuda'):
        device = default_device()
    return prepare(kind(**{**made_by, 'device': device}))


def usable_device(name: str | None) -> torch.device:
    """A device of this machine; without a name the GPU, if there is one.

    Raises:
        ConfigError: There is no such device here.
    """
    try:
        device = torch.device(name or ('cuda' if torch.cuda.is_available() else 'cpu'))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # torch without CUDA raises AssertionError
        why = str(error).partition('\n')[0]
        raise ConfigError(f'The device {name!r} cannot be used here: {why}. Choose another, such as cpu.') from error
    return device


@contextmanager
def only_warnings() -> Iterator[None]:
    """Keep messages about where weights come from, which a training logs, out of the output of inference."""
    logger = MMLogger.get_current_instance()
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


def build_steps(steps: list[dict]) -> Compose:
    """Transforms from their configs."""
    return Compose([TRANSFORMS.build(dict(step)) for step in steps])
