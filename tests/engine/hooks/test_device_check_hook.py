import sys

import pytest
import torch

from vadlab.engine.hooks import device_check_hook
from vadlab.utils.errors import MissingDependencyError


def test_ops_are_there():
    assert device_check_hook.roi_align_problem('cpu') is None


def test_missing_ops_say_how_to_build_them(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmcv.ops', None)
    assert 'make install' in device_check_hook.roi_align_problem('cpu')


def test_ops_without_cuda_say_how_to_build_them(monkeypatch):
    def fail(*args):
        raise RuntimeError('RoIAlign is not compiled with GPU support')

    monkeypatch.setattr('mmcv.ops.roi_align', fail)
    problem = device_check_hook.roi_align_problem(torch.device('cpu'))
    assert 'not compiled with GPU support' in problem
    assert 'MMCV_WITH_OPS=1 FORCE_CUDA=1 pip install' in problem


def test_run_stops(toy_runner, monkeypatch):
    monkeypatch.setattr(device_check_hook, 'roi_align_problem', lambda device: f'no ops for {device}')
    with pytest.raises(MissingDependencyError, match='no ops for cpu'):
        toy_runner().train()
