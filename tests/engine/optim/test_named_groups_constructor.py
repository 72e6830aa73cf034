import pytest
import torch
from torch import nn

from vadlab.engine.optim.named_groups_constructor import NamedGroupsConstructor
from vadlab.utils.errors import ConfigError


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.text = nn.Linear(2, 2)
        self.text_projection = nn.Linear(2, 2, bias=False)
        self.logit_scale = nn.Parameter(torch.zeros(()))
        self.frozen = nn.Linear(1, 1)
        self.frozen.requires_grad_(False)


GROUPS = dict(
    temperatures=dict(pattern='logit_scale', lr=1e-1, weight_decay=0.0),
    projections=dict(pattern=r'\w+_projection\..*', lr=1e-2),
    text=dict(pattern=r'text\..*'),
)
WRAPPER = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.5), accumulative_counts=2)


def build(groups=GROUPS, **changes):
    return NamedGroupsConstructor({**WRAPPER, **changes}, dict(groups=groups))(Model())


def test_groups_hold_their_parameters_and_settings():
    wrapper = build()
    groups = {g['name']: g for g in wrapper.optimizer.param_groups}
    assert {name: sum(p.numel() for p in g['params']) for name, g in groups.items()} == {
        'temperatures': 1, 'projections': 4, 'text': 6,
    }  # fmt: skip
    assert [(groups[n]['lr'], groups[n]['weight_decay']) for n in groups] == [(1e-1, 0.0), (1e-2, 0.5), (1e-3, 0.5)]
    assert wrapper._accumulative_counts == 2


def test_without_groups_everything_is_one():
    wrapper = NamedGroupsConstructor(WRAPPER)(Model())
    assert [g['name'] for g in wrapper.optimizer.param_groups] == ['all']


def test_group_of_frozen_parameters_is_left_out():
    wrapper = build({**GROUPS, 'frozen': dict(pattern=r'frozen\..*', lr=1.0)})
    assert [g['name'] for g in wrapper.optimizer.param_groups] == ['temperatures', 'projections', 'text']


@pytest.mark.parametrize(
    ('groups', 'message'),
    [
        ({**GROUPS, 'audio': dict(pattern=r'audio\..*')}, r'match no parameter of Model: audio \(audio'),
        ({'text': dict(pattern=r'text\..*')}, 'in no optimizer group .first: logit_scale'),
        ({'text': dict(lr=1.0)}, "group 'text' has no pattern"),
    ],
)
def test_groups_that_cannot_be(groups, message):
    with pytest.raises(ConfigError, match=message):
        build(groups)


def test_custom_keys_and_missing_optimizer_are_refused():
    with pytest.raises(ConfigError, match='takes "groups" only'):
        NamedGroupsConstructor(WRAPPER, dict(custom_keys={}))
    with pytest.raises(ConfigError, match='needs an optimizer'):
        NamedGroupsConstructor(dict(type='OptimWrapper'))
