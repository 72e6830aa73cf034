import torch

from vadlab.models.checkpoints.layer_renaming import rename_layers

NAMES = {'net.0': 'fc1', 'net.0.norm': 'norm', 'scale': 'logit_scale'}


def _tensors(*names):
    return {name: torch.full((1,), float(i)) for i, name in enumerate(names)}


def test_the_longest_known_layer_gives_the_name_and_what_follows_it_is_kept():
    old = _tensors('net.0.weight', 'net.0.norm.running_mean', 'net.0.norm.bias', 'scale')
    new = rename_layers(old, NAMES)
    assert list(new) == ['fc1.weight', 'norm.running_mean', 'norm.bias', 'logit_scale']
    assert all(a is b for a, b in zip(new.values(), old.values(), strict=True))


def test_a_tensor_or_a_layer_too_many_is_another_layout():
    complete = _tensors('net.0.weight', 'net.0.norm.bias', 'scale')
    assert rename_layers(complete, NAMES) is not None
    assert rename_layers({**complete, **_tensors('net.1.weight')}, NAMES) is None
    assert rename_layers({**complete, **_tensors('scales.weight')}, NAMES) is None
    del complete['scale']
    assert rename_layers(complete, NAMES) is None
    assert rename_layers({}, NAMES) is None
