"""Validation of an epoch gives what tools/test.py gives of its checkpoint, to the last digit, for every method."""

import json
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.structures import BaseDataElement

from vadlab.registry import HOOKS
from vadlab.utils.config import load_config

from .tiny_methods import FITTED_METRICS, METHODS, UNTRAINED, registered_methods, registered_metrics, write_experiment

SAME = """
_base_ = ['{base}']
test_dataloader = _base_.val_dataloader
test_evaluator = _base_.val_evaluator
custom_hooks = [dict(type='KeepPredictions')]
"""
KEPT: list = []


@HOOKS.register_module(force=True)
class KeepPredictions(Hook):
    """Puts all predictions of each validation or test into :data:`KEPT`."""

    def before_val_epoch(self, runner):
        KEPT.append([])

    before_test_epoch = before_val_epoch

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        KEPT[-1] += [{k: plain(v) for k, v in sample.items() if k.startswith('pred_')} for sample in outputs]

    after_test_iter = after_val_iter


def plain(value):
    """A copy that ``==`` compares."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return value.dtype, value.tolist()
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, BaseDataElement):
        return {k: plain(v) for k, v in value.items()}
    return value


def validations(work):
    """Metrics of each validation of a run, in order."""
    (log,) = work.glob('*/vis_data/scalars.json')
    records = [json.loads(line) for line in log.read_text().splitlines()]
    return [{k: v for k, v in r.items() if '/' in k} for r in records if 'step' in r and any('/' in k for k in r)]


def prepare(name, folder, train):
    """The config of an experiment that validates on what it tests on."""
    config = folder / f'same_{name}.py'
    config.write_text(SAME.format(base=write_experiment(name, folder, train)))
    return config


def compare(name, config, train, test, options=(), epochs=(1, 2)):
    """Train two epochs and test their checkpoints."""
    folder, work = config.parent, config.parent / 'work'
    KEPT.clear()
    last = ['last_epoch=17'] if name == 'fsgr_rewards' else ['max_epochs=2']
    variables = ['val_interval=1', 'checkpoint_interval=1', 'max_keep_ckpts=2', *last, *options]
    known = load_config(config)
    variables = [v for v in variables if v.startswith('optim_wrapper.') or v.split('=')[0] in known]
    train([str(config), '--work-dir', str(work), '--overwrite', '--cfg-options', *variables])
    in_training, found = list(KEPT), validations(work)
    assert len(in_training) == len(found) == 2
    assert in_training[0] != in_training[1], 'nothing was learnt'
    for epoch in epochs:
        out = folder / f'epoch_{epoch}.json'
        test([str(config), str(work / f'epoch_{epoch}.pth'), '--out', str(out), '--work-dir', str(folder / 'test')])
        metrics = json.loads(out.read_text())['metrics']
        assert metrics
        assert {k: v for k, v in found[epoch - 1].items() if k in metrics} == metrics
        assert in_training[epoch - 1] == KEPT[-1]


def optimizer_options(config, fused):
    kind = load_config(config).optim_wrapper.optimizer.type
    return [f'optim_wrapper.optimizer.fused={fused}'] if kind in ('Adam', 'AdamW', 'SGD', 'Adagrad') else []


@pytest.mark.parametrize('name', METHODS)
def test_validation_equals_test(name, train, test, tmp_path):
    compare(name, prepare(name, tmp_path, train), train, test, epochs=[2])


@pytest.mark.slow
@pytest.mark.parametrize(
    ('fused', 'amp'),
    [
        pytest.param(True, True, id='fused-bf16'),
        pytest.param(False, False, id='unfused-float32', marks=pytest.mark.thorough),
        pytest.param(True, False, id='fused-float32', marks=pytest.mark.thorough),
        pytest.param(False, True, id='unfused-bf16', marks=pytest.mark.thorough),
    ],
)
@pytest.mark.parametrize('name', METHODS)
def test_validation_equals_test_whatever_the_optimizer(name, fused, amp, train, test, tmp_path):
    config = prepare(name, tmp_path, train)
    options = optimizer_options(config, fused)
    if amp:
        options += [f'optim_wrapper.{k}' for k in ('type=AmpOptimWrapper', 'dtype=bfloat16', 'amp_on_cpu=True')]
    compare(name, config, train, test, options)


def test_every_method_and_metric_is_covered(train, tmp_path):
    assert {*METHODS.values()} | UNTRAINED == registered_methods()
    evaluated = set()
    for name in METHODS:
        evaluator = load_config(write_experiment(name, tmp_path / name, lambda args: None)).val_evaluator
        evaluated |= {metric['type'] for metric in (evaluator if isinstance(evaluator, list) else [evaluator])}
    assert evaluated | FITTED_METRICS == registered_metrics()
