import numpy as np
import pytest
import torch
from torch import nn

from vadlab.apis.deployment.export_graph import check_graph, quantize_graph, relative_difference, write_graph
from vadlab.apis.deployment.graphs import Graph
from vadlab.utils.errors import ConfigError, DataError


def a_graph(module=None):
    torch.manual_seed(0)
    module = module or nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    inputs = torch.randn(4, 8)
    return Graph('part', module, {'x': inputs}, ('y',), {'x': {0: 'n'}}, {'x': inputs[:1]})


def test_relative_difference_by_hand():
    assert relative_difference(np.array([1.0, 2.5]), np.array([1.0, 2.0])) == 0.25
    assert relative_difference(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5])) == 0.25  # one number of four
    assert relative_difference(np.array([np.inf, 2.0]), np.array([np.inf, 2.0])) == 0
    assert relative_difference(np.array([np.nan, 2.0]), np.array([1.0, 2.0])) == np.inf
    assert relative_difference(np.zeros(3), np.zeros(2)) == np.inf
    assert relative_difference(np.zeros((0, 3)), np.zeros((0, 3))) == 0


def test_graph_equals_torch_and_int8_is_near(tmp_path):
    graph = a_graph()
    found = write_graph(graph, tmp_path / 'part.onnx')
    assert found['part.y'] < 1e-6
    quantize_graph(tmp_path / 'part.onnx', tmp_path / 'small.onnx')
    changed = check_graph(graph, tmp_path / 'small.onnx', None)
    assert 1e-6 < changed['part.y'] < 0.1
    with pytest.raises(ConfigError, match=r'part.y: onnxruntime and torch differ by .* at most 0.0001 is accepted'):
        check_graph(graph, tmp_path / 'small.onnx', 1e-4)


class _Counts(nn.Module):
    def forward(self, x):
        return x + len(x)  # the batch size becomes a constant of the graph


def test_graph_with_a_fixed_batch_size_is_refused(tmp_path):
    with pytest.raises(DataError, match='onnxruntime failed: .* Got invalid dimensions'):
        write_graph(a_graph(_Counts()), tmp_path / 'part.onnx')


class _Cannot(nn.Module):
    def forward(self, x):
        return x if float(x.sum()) > 0 else -x


def test_part_that_torch_cannot_export_is_named(tmp_path):
    with pytest.raises(ConfigError, match='part: torch cannot export it'):
        write_graph(a_graph(_Cannot()), tmp_path / 'part.onnx')
