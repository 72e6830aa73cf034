"""The sanity check: one batch of each loader through loss and evaluation before training."""

import logging
import time
import warnings
from typing import Any

import torch
from mmengine.logging import MMLogger
from torch.utils.data import DataLoader

from vadlab.datasets.samplers.balanced_batch_sampler import BalancedBatchSampler

from .random_state import capture_random_state, restore_random_state


def first_batch(loader: DataLoader) -> Any:
    """The first samples of a loader's data set as one batch, loaded without worker processes.

    With a balanced batch sampler it is the first batch of the sampler, since the first samples may all have one class.
    """
    size = loader.batch_size or getattr(loader.batch_sampler, 'batch_size', 1)
    inds = list(range(min(size, len(loader.dataset))))  # type: ignore[arg-type]
    if isinstance(loader.batch_sampler, BalancedBatchSampler):
        inds = next(iter(loader.batch_sampler))
    return loader.collate_fn([loader.dataset[i] for i in inds])


def sanity_check(runner: Any, backward: bool = False) -> dict[str, float]:
    """Run one batch of each loader through the loss, prediction and the evaluators, and check names of metrics.

    Weights, queues, random generators and metrics are restored afterwards. The test loader is skipped if it equals the
    validation loader.

    Args:
        runner (VADRunner): The runner, with its training loop built and its weights loaded.
        backward (bool): Also compute gradients, and discard them.

    Returns:
        dict[str, float]: Loss terms, ``val/...`` and ``test/...`` metrics.

    Raises:
        ConfigError: A hook selects by a metric that the validation does not have.
    """
    started = time.perf_counter()
    model = runner.bare_model
    was_training = model.training
    random_state = capture_random_state()
    buffers = {k: v.clone() for k, v in model.state_dict().items() if k in dict(model.named_buffers())}
    found: dict[str, float] = {}
    try:
        if runner._train_loop is not None:
            found.update(_loss(runner, model, backward))
        model.eval()
        same = runner.cfg.get('test_dataloader') == runner.cfg.get('val_dataloader')
        if runner._val_loop is not None:
            found.update(_evaluate(model, runner.val_loop, 'val'))
        if runner._test_loop is not None and not (same and runner._val_loop is not None):
            found.update(_evaluate(model, runner.test_loop, 'test'))
    finally:
        model.train(was_training)
        model.load_state_dict(buffers, strict=False)
        restore_random_state(random_state)
    if metrics := [name.removeprefix('val/') for name in found if name.startswith('val/')]:
        for hook in runner.hooks:
            if hasattr(hook, 'check_metrics'):  # save_best, monitor
                hook.check_metrics(metrics)
    runner.logger.info(f'Sanity check: one batch of each loader went through in {time.perf_counter() - started:.1f} s.')
    return found


def _loss(runner: Any, model: Any, backward: bool) -> dict[str, float]:
    model.train()
    batch = first_batch(runner.train_loop.dataloader)
    wrapper = runner.optim_wrapper
    with torch.set_grad_enabled(backward), wrapper.optim_context(model):
        data = model.data_preprocessor(batch, True)
        terms = model(**data, mode='loss')
        total, log = model.parse_losses(terms)
    if backward:
        total.backward()
        wrapper.zero_grad()
    return {k: float(torch.as_tensor(v).detach()) for k, v in log.items()}


def _evaluate(model: Any, loop: Any, prefix: str) -> dict[str, float]:
    batch = first_batch(loop.dataloader)
    with torch.no_grad():
        outputs = model.val_step(batch)
    loop.evaluator.process(data_samples=outputs, data_batch=batch)
    logger = MMLogger.get_current_instance()
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # a metric of one batch is often undefined and warns
        logger.setLevel(logging.ERROR)
        try:
            metrics = loop.evaluator.evaluate(len(outputs))
        finally:
            logger.setLevel(level)
    return {f'{prefix}/{k}': v for k, v in metrics.items() if isinstance(v, (int, float))}
