import pytest
import torch
from torch import nn

from vadlab.checkpoints.checkpoint_io import load_weights, read_checkpoint
from vadlab.checkpoints.weights import all_finite, check_float_weights, check_weights, weights_in
from vadlab.utils.errors import CheckpointError


@pytest.mark.parametrize(
    ('state_dict', 'message'),
    [
        ({'w': 'text'}, "'w' is a str"),
        ({'w': None}, "'w' is a NoneType"),
        ({'w': [1.0]}, "'w' is a list"),
        ({'w': {'v': torch.zeros(1)}}, "'w' is a dict"),
        ({0: torch.zeros(1)}, '0 is no name'),
        ({'w': torch.eye(2).to_sparse()}, "'w' is a sparse"),
        ({'w': torch.empty(2, device='meta')}, "'w' is a tensor without values"),
        ([torch.zeros(1)], 'its state_dict is a list'),
        ('text', 'its state_dict is a str'),
        (None, 'its state_dict is a NoneType'),
        (torch.zeros(1), 'its state_dict is a Tensor'),
    ],
)
def test_what_are_no_dense_tensors_by_name_is_refused(tmp_path, state_dict, message):
    torch.save({'state_dict': state_dict}, tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match=rf'x\.pth.*{message}'):
        read_checkpoint(tmp_path / 'x.pth')


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_sparse_and_quantised_tensors_of_other_kinds_are_refused(tmp_path):
    compressed = torch.eye(2).to_sparse_csr()
    quantised = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    for value, message in ((compressed, "'w' is a sparse"), (quantised, "'w' is a quantised tensor")):
        torch.save({'w': value}, tmp_path / 'x.pth')
        with pytest.raises(CheckpointError, match=message):
            read_checkpoint(tmp_path / 'x.pth')


def test_what_modules_keep_beside_tensors_is_no_weight():
    state = {'w': torch.zeros(1), 'head._extra_state': {'classes': ['a']}}
    assert weights_in({'state_dict': state}, 'x.pth') == state


def test_a_file_without_weights_names_its_keys():
    with pytest.raises(CheckpointError, match='contains no state_dict; its keys are epoch, 3'):
        weights_in({'epoch': 1, 3: 2}, 'x.pth')


class Model(nn.Module):
    """Holds every kind of state."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.register_buffer('count', torch.zeros(2, dtype=torch.long))
        self.register_buffer('flag', torch.zeros(2, dtype=torch.bool))
        self.register_buffer('small', torch.zeros(2, dtype=torch.int8))
        self.register_buffer('mask', torch.full((2,), float('-inf')))
        self.register_buffer('coarse', torch.zeros(2, dtype=torch.float16))


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('layer.weight', torch.tensor([[1.0, float('nan')], [0, 0]]), r'NaN or infinite: layer\.weight \(1 of 4\)'),
        ('layer.bias', torch.tensor([float('inf'), float('-inf')]), r'NaN or infinite: layer\.bias \(2 of 2\)'),
        ('layer.bias', torch.tensor([1e300, 0.0], dtype=torch.float64), r'NaN or infinite: layer\.bias \(1 of 2\)'),
        ('coarse', torch.tensor([1e6, 0.0]), r'NaN or infinite: coarse \(1 of 2\)'),
        (
            'layer.bias',
            torch.tensor([1, 2]),
            r'another kind .*: layer\.bias is int64 in the file, float32 in the model',
        ),
        ('layer.bias', torch.tensor([True, False]), r'layer\.bias is bool in the file'),
        ('layer.bias', torch.tensor([1j, 0]), r'layer\.bias is complex64 in the file'),
        ('count', torch.tensor([0.5, 1.0]), 'count is float32 in the file, int64 in the model'),
        ('small', torch.tensor([300, 1]), 'small has numbers that int8 cannot hold'),
        ('flag', torch.tensor([2, 1]), 'flag has numbers that bool cannot hold'),
    ],
)
def test_numbers_that_loading_would_change_are_named(key, value, message):
    model = Model()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=rf'x\.pth holds numbers .*{message}'):
        load_weights(model, model.state_dict() | {key: value}, 'x.pth')
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('layer.bias', torch.tensor([1.0, 2.0], dtype=torch.float16)),
        ('layer.bias', torch.tensor([3e38, 3e38])),  # finite, though their sum is not
        ('count', torch.tensor([1, 2], dtype=torch.int32)),
        ('flag', torch.tensor([0, 1])),
        ('mask', torch.tensor([float('-inf'), 0.0])),
    ],
)
def test_numbers_that_fit_are_loaded(key, value):
    model = Model()
    load_weights(model, model.state_dict() | {key: value}, 'x.pth')
    assert torch.equal(model.state_dict()[key], value.to(model.state_dict()[key].dtype))


def test_without_a_model_weights_are_finite_floats():
    check_float_weights({'w': torch.ones(2, dtype=torch.float16)}, 'x.pth')
    with pytest.raises(CheckpointError, match=r'x\.pth holds other numbers than floats as weights: w is int8'):
        check_float_weights({'w': torch.ones(2, dtype=torch.int8)}, 'x.pth')
    with pytest.raises(CheckpointError, match=r'NaN or infinite: w \(1 of 2\)'):
        check_float_weights({'w': torch.tensor([1.0, float('nan')])}, 'x.pth')


def test_other_shapes_and_what_the_model_lacks_are_not_looked_at():
    check_weights({'w': torch.ones(3, dtype=torch.long), 'v': torch.ones(1)}, {'w': torch.ones(2)}, 'x.pth')


@pytest.mark.parametrize('value', [float('nan'), float('inf'), float('-inf')])
def test_finite(value):
    assert all_finite(torch.zeros(0))
    assert not all_finite(torch.tensor([0.0, value, -value]))
