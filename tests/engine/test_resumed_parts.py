"""Checkpoints to resume from that have a part of a wrong type, length or shape: one error before the first step."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from vadlab.checkpoints.checkpoint_io import read_checkpoint
from vadlab.checkpoints.training_state import check_optimizer_state, kind_differences
from vadlab.engine.random_state import capture_random_state
from vadlab.utils.errors import CheckpointError, VADLabError

_trained = []


@pytest.fixture
def saved(toy_runner, tmp_path):
    if not _trained:
        toy_runner(tmp_path / 'run', max_epochs=1).train()
        _trained.append(read_checkpoint(tmp_path / 'run' / 'epoch_1.pth'))
    return copy.deepcopy(_trained[0])


def _set(node, place, value):
    *parents, last = place
    for key in parents:
        node = node[key]
    if value is DELETE:
        del node[last]
    else:
        node[last] = value(node[last]) if callable(value) else value


DELETE = object()
FIRST = ('optimizer', 'state', 0)
SPOILT = {
    'meta a list': (('meta',), [], "its 'meta' is a list"),
    'meta None': (('meta',), None, "its 'meta' is a NoneType"),
    'no epoch': (('meta', 'epoch'), DELETE, r'meta\.epoch is missing'),
    'epoch a word': (('meta', 'epoch'), 'one', r'meta\.epoch is a str'),
    'epoch negative': (('meta', 'epoch'), -1, r'meta\.epoch is a int \(-1\)'),
    'iter a float': (('meta', 'iter'), 1.5, r'meta\.iter is a float'),
    'seed a list': (('meta', 'seed'), [1], r'meta\.seed is a list'),
    'meta with tensors': (('meta', 'data'), torch.zeros(3), r'meta\.data is a tensor, where plain values belong'),
    'data a list': (('meta', 'data'), [1], r'meta\.data is a list, not a dict'),
    'a recipe of features as a word': (('meta', 'feature_recipe'), 'x', r'meta\.feature_recipe is a str'),
    'cfg a number': (('meta', 'cfg'), 3, 'of type int, not text'),
    'cfg no Python': (('meta', 'cfg'), 'model = (', 'its saved config .* cannot be parsed'),
    'hub a list': (('message_hub',), [1], 'message_hub is a list'),
    'hub empty': (('message_hub',), {}, r'message_hub\.log_scalars is missing'),
    'no scalars': (('message_hub', 'log_scalars'), DELETE, r'message_hub\.log_scalars is missing'),
    'scalars by number': (('message_hub', 'log_scalars'), {1: 2}, r'message_hub\.log_scalars is'),
    'no history': (('message_hub', 'log_scalars', 'train/loss'), 3.0, r'train/loss is not a history'),
    'half a history': (
        ('message_hub', 'log_scalars', 'train/loss', 'count'),
        torch.ones(1),
        r'train/loss is not a history',
    ),
    'info a list': (('message_hub', 'runtime_info'), [], r'runtime_info is a list'),
    'a key that is not a bool': (('message_hub', 'resumed_keys', 'epoch'), torch.ones(2), 'epoch is not a bool'),
    'best score a word': (('message_hub', 'runtime_info', 'best_score'), 'x', 'best_score is a str, not a number'),
    'kept a word': (('message_hub', 'runtime_info', 'keep_ckpt_ids'), ['../x'], 'keep_ckpt_ids is a list'),
    'replaced a number': (('message_hub', 'runtime_info', 'replaced_ckpts'), [3], 'replaced_ckpts is a list'),
    'optimizer a list': (('optimizer',), [], "its 'optimizer' is not the state"),
    'optimizer empty': (('optimizer',), {}, "its 'optimizer' is not the state"),
    'groups None': (('optimizer', 'param_groups'), None, 'not the state of an optimizer'),
    'a group less': (('optimizer', 'param_groups'), lambda groups: groups[:-1], 'the run has'),
    'a group without parameters': (('optimizer', 'param_groups', 0, 'params'), DELETE, 'the run has'),
    'unknown parameters': (('optimizer', 'param_groups', 0, 'params'), lambda p: [99] * len(p), 'numbers parameters'),
    'rate a word': (('optimizer', 'param_groups', 0, 'lr'), 'fast', r'0\.lr is a str, not a number'),
    'betas a number': (('optimizer', 'param_groups', 0, 'betas'), 0.9, r'0\.betas is a float'),
    'rate below 0': (('optimizer', 'param_groups', 0, 'lr'), -1.0, r'0\.lr is -1\.0, below 0'),
    'rate beyond float32': (('optimizer', 'param_groups', 0, 'lr'), 1e300, r'0\.lr is 1e\+300, which does not fit'),
    'rate infinite': (('optimizer', 'param_groups', 0, 'lr'), float('inf'), r'0\.lr is inf, which does not fit'),
    'a schedule beyond float32': (('param_schedulers', 0, 'base_values'), lambda v: [1e300] * len(v), 'base_values'),
    'no decay': (('optimizer', 'param_groups', 1, 'weight_decay'), None, r'1\.weight_decay is missing, not a number'),
    'a schedule without begin': (('param_schedulers', 0, 'begin'), None, r'0\.begin is missing, not a number'),
    'state of another shape': ((*FIRST, 'exp_avg'), torch.zeros(7), r'state\.0\.exp_avg is a tensor of float32 \(7,\)'),
    'no elements': ((*FIRST, 'exp_avg_sq'), torch.zeros(0), r'state\.0\.exp_avg_sq is a tensor'),
    'state of integers': ((*FIRST, 'exp_avg'), lambda t: t.long(), r'exp_avg is a tensor of int64'),
    'state that is NaN': ((*FIRST, 'exp_avg'), lambda t: t * float('nan'), 'not a dense tensor of finite numbers'),
    'sparse state': ((*FIRST, 'exp_avg'), lambda t: t.to_sparse(), 'not a dense tensor of finite numbers'),
    'half the state': ((*FIRST, 'exp_avg'), DELETE, r'state\.0\.exp_avg is missing'),
    'a step that is text': ((*FIRST, 'step'), 'x', r'state\.0\.step is a str'),
    'state of another parameter': (('optimizer', 'state'), lambda s: {**s, 99: s[0]}, 'numbers parameters'),
    'schedules a word': (('param_schedulers',), 'x', 'param_schedulers is a str'),
    'a schedule less': (('param_schedulers',), [], 'param_schedulers is a list of 0'),
    'a schedule None': (('param_schedulers', 0), None, r'param_schedulers\.0 is missing, not a dict'),
    'a schedule with methods': (('param_schedulers', 0, 'step'), 3, r'param_schedulers\.0\.step is not known'),
    'a schedule at a word': (('param_schedulers', 0, 'last_step'), 'x', r'0\.last_step is a str'),
    'random None': (('random_state',), None, "its 'random_state' is not a state"),
    'random of bytes': (
        ('random_state', 'torch'),
        torch.zeros(3, dtype=torch.uint8),
        "its 'random_state' is not a state",
    ),
    'random of words': (('random_state', 'python'), [3, ['x'], None], "its 'random_state' is not a state"),
    'random of another kind': (('random_state', 'numpy', 0), 'Other', "its 'random_state' is not a state"),
}


@pytest.mark.parametrize('kind', SPOILT)
def test_a_part_of_a_wrong_type_is_one_error(saved, toy_runner, tmp_path, kind):
    place, value, message = SPOILT[kind]
    _set(saved, place, value)
    torch.save(saved, tmp_path / 'x.pth')
    runner = toy_runner(resume=tmp_path / 'x.pth', max_epochs=2)
    before = copy.deepcopy(runner.bare_model.state_dict())
    with pytest.raises(CheckpointError, match=rf'x\.pth.*({message})'):
        runner.train()
    assert all(torch.equal(v, before[k]) for k, v in runner.bare_model.state_dict().items() if torch.is_tensor(v))


def _places(node, place=()):
    """All places of a checkpoint's values but its weights."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if (*place, key)[0] != 'state_dict':
            yield (*place, key)
            yield from _places(value, (*place, key))


OTHERS = [None, -1, 1.5, 'x', '', [], [1], {}, {'a': 1}, True, torch.zeros(3), torch.tensor(float('nan')), DELETE]


@given(number=st.integers(0, 10**6), value=st.sampled_from(OTHERS))
def test_whatever_a_part_becomes_a_run_goes_on_or_ends_with_one_error(
    saved, toy_runner, tmp_path_factory, number, value
):
    folder = tmp_path_factory.mktemp('run')
    spoilt = copy.deepcopy(saved)
    # One word of the generator's 624 stands for all.
    places = [
        p for p in _places(spoilt) if (len(p) < 5 or p[-1] in (0, 1)) and (len(p) < 4 or p[3] not in range(2, 700))
    ]
    _set(spoilt, places[number % len(places)], value)
    torch.save(spoilt, folder / 'x.pth')
    try:
        toy_runner(folder / 'next', resume=folder / 'x.pth', max_epochs=2).train()
    except VADLabError as error:
        assert 'x.pth' in str(error) or 'checkpoint' in str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    'build',
    [
        lambda p: torch.optim.AdamW(p, fused=True),
        lambda p: torch.optim.Adam(p, amsgrad=True),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: torch.optim.RMSprop(p, momentum=0.5),
        lambda p: torch.optim.Adafactor(p),
    ],
)
def test_state_of_every_optimizer_fits_itself_and_no_other_shapes(build):
    def trained(width):
        layer = nn.Linear(width, 4)
        optimizer = build(layer.parameters())
        layer(torch.ones(2, width)).sum().backward()
        optimizer.step()
        return optimizer

    own = trained(3)
    check_optimizer_state(copy.deepcopy(own.state_dict()), build(nn.Linear(3, 4).parameters()), 'x.pth')
    if not isinstance(own, torch.optim.Adafactor):  # its rows and columns are not compared
        with pytest.raises(CheckpointError, match=r'optimizer\.state\.0\.\w+ is a tensor of float32 \(4, 3\)'):
            check_optimizer_state(copy.deepcopy(own.state_dict()), trained(5), 'x.pth')


def test_switches_of_an_optimizer_are_the_runs_own():
    layer = nn.Linear(2, 2)
    saved = torch.optim.AdamW(layer.parameters(), fused=True, maximize=True).state_dict()
    check_optimizer_state(saved, torch.optim.AdamW(layer.parameters(), fused=False), 'x.pth')
    assert (saved['param_groups'][0]['fused'], saved['param_groups'][0]['maximize']) == (False, False)


def test_generators_are_left_as_they_are_by_a_refused_state(saved, toy_runner, tmp_path):
    saved['random_state']['numpy'][1] = torch.zeros(3)
    torch.save(saved, tmp_path / 'x.pth')
    runner = toy_runner(resume=tmp_path / 'x.pth', max_epochs=2)
    with pytest.raises(CheckpointError):
        runner.train()
    assert len(capture_random_state()['numpy'][1]) == 624
    assert np.random.random() < 1  # noqa: NPY002


def test_the_best_checkpoint_of_a_resumed_run_is_in_its_own_folder(saved, toy_runner, tmp_path):
    (tmp_path / 'precious').mkdir()
    (tmp_path / 'precious' / 'file.txt').write_text('x')
    info = saved['message_hub']['runtime_info']
    assert info['best_score'] is not None
    info.update(best_ckpt=str(tmp_path / 'precious'), best_score=-1e9)  # the next validation is better
    torch.save(saved, tmp_path / 'x.pth')
    toy_runner(tmp_path / 'next', resume=tmp_path / 'x.pth', max_epochs=2).train()
    assert (tmp_path / 'precious' / 'file.txt').is_file()
    assert len(list((tmp_path / 'next').glob('best_*.pth'))) == 1


def test_plain_values_are_compared_by_kind():
    own = {'a': 1, 'b': [0.5, None], 'c': 'x', 'd': torch.zeros(2)}
    assert kind_differences({'a': 2.0, 'b': [1, 3], 'c': 'y'}, own, 'p') == []
    wrong = {'a': 'x', 'b': [1], 'c': 3, 'd': torch.zeros(3), 'e': 1}
    places = [d.split()[0] for d in kind_differences(wrong, own, 'p')]
    assert sorted(places) == ['p.a', 'p.b', 'p.c', 'p.d', 'p.e']
    assert kind_differences({'b': [1, {}]}, own, 'p') == ['p.b.1 is a dict, not a plain value']
