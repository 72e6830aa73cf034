import pytest
import torch

from vadlab.models.checkpoints.public_layout import rename_tensors
from vadlab.utils.errors import CheckpointError

RULES = {r'net\.(\d+)\.fc': r'blocks.\1.linear', 'memory': 'slots', 'unused': None}


def _names(*names):
    return {name: torch.zeros(1) for name in names}


def test_numbers_and_endings_are_kept_and_unneeded_tensors_skipped():
    tensors = _names('net.0.fc.weight', 'net.11.fc.bias', 'net.0.fc.running_mean', 'memory', 'unused.weight')
    renamed = rename_tensors(tensors, RULES, signature='memory', method='X')
    assert set(renamed) == {
        'blocks.0.linear.weight',
        'blocks.11.linear.bias',
        'blocks.0.linear.running_mean',
        'slots',
    }
    assert renamed['slots'] is tensors['memory']


def test_without_the_signature_it_is_another_layout():
    assert rename_tensors(_names('net.0.fc.weight'), RULES, signature='memory', method='X') is None


def test_a_rule_matches_the_whole_name_and_unknown_tensors_are_named():
    tensors = _names('memory', 'my.memory', *(f'extra{i}' for i in range(8)))
    with pytest.raises(CheckpointError, match=r"X's authors has 9 tensors .*: my\.memory, extra0, .*extra4, \.\.\."):
        rename_tensors(tensors, RULES, signature='memory', method='X')
