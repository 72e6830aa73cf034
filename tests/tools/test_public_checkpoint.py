import json

import pytest
import torch

from vadlab.registry import MODELS
from vadlab.utils.errors import CheckpointError

from .conftest import ROOT
from .tiny_features import write_config, write_data


def _as_the_authors_name_it(state):
    """An RTFM of ours under the tensor names of tianyu0207/RTFM."""
    layers = {f'temporal.dilated.{i}': f'conv_{i + 1}' for i in range(3)} | {'temporal.fuse': 'conv_5'}
    parts = {'conv': '0', 'norm': '2'}
    attention = {'query': 'theta', 'key': 'phi', 'value': 'g', 'out': 'W.0', 'norm': 'W.1'}
    renamed = {}
    for name, tensor in state.items():
        layer, _, rest = name.rpartition('.')
        if layer == 'temporal.reduce':
            name = f'Aggregate.conv_4.0.{rest}'
        elif layer.startswith('temporal.non_local.'):
            name = f'Aggregate.non_local.{attention[layer.rpartition(".")[2]]}.{rest}'
        elif layer.startswith('temporal.'):
            block, _, part = layer.rpartition('.')
            name = f'Aggregate.{layers[block]}.{parts[part]}.{rest}'
        renamed[name] = tensor
    return renamed


@pytest.fixture
def experiment(tmp_path):
    return write_config('rtfm', tmp_path, ROOT, write_data(tmp_path / 'data'))


def test_a_checkpoint_of_the_authors_is_tested_as_it_is(test, experiment, tmp_path, capsys):
    torch.manual_seed(0)
    model = MODELS.build(
        dict(type='RTFM', feature_dim=8, hidden_dims=(8, 4), data_preprocessor=dict(type='BaseDataPreprocessor'))
    )
    ours, theirs = tmp_path / 'ours.pth', tmp_path / 'theirs.pkl'
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, ours)
    named = _as_the_authors_name_it(model.state_dict())
    torch.save({f'module.{name}': tensor for name, tensor in named.items()}, theirs)
    reports = []
    for path in (ours, theirs):
        out = tmp_path / f'{path.stem}.json'
        assert test([str(experiment), str(path), '--out', str(out), '--work-dir', str(tmp_path / path.stem)]) == 0
        reports.append(json.loads(out.read_text())['metrics'])
    assert reports[0] == reports[1]
    assert 'theirs.pkl is read in the layout of tianyu0207/RTFM' in capsys.readouterr().err + _logs(tmp_path)


def _logs(folder):
    return ''.join(path.read_text() for path in folder.rglob('*.log'))


def test_an_unknown_layout_is_one_message(test, experiment, tmp_path):
    torch.save({'encoder.weight': torch.zeros(2)}, tmp_path / 'other.pkl')
    with pytest.raises(CheckpointError, match=r'other\.pkl is neither a checkpoint of RTFM nor.*tianyu0207/RTFM'):
        test([str(experiment), str(tmp_path / 'other.pkl'), '--work-dir', str(tmp_path / 'w')])
