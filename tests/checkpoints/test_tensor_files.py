import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file

from vadlab.checkpoints import read_tensor_file
from vadlab.models.checkpoints import load_clip_checkpoint
from vadlab.utils.errors import CheckpointError, MissingFileError


class Attack:
    """Unpickled without care, it makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize('ending', ['.pth', '.pt', '.bin'])
@pytest.mark.parametrize('legacy', [False, True])
def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path, ending, legacy):
    path, witness = tmp_path / f'bad{ending}', tmp_path / 'ran'
    torch.save(
        {'vision.class_embedding': torch.zeros(2), 'meta': Attack(witness)},
        path,
        _use_new_zipfile_serialization=not legacy,
    )
    with pytest.raises(CheckpointError, match=rf'bad\{ending} is refused.*could run code.*mkdir'):
        load_clip_checkpoint(path)
    assert not witness.exists()


def test_code_in_a_plain_pickle_is_refused_and_not_run(tmp_path):
    (tmp_path / 'bad.pth').write_bytes(pickle.dumps({'state_dict': Attack(tmp_path / 'ran')}))
    with pytest.raises(CheckpointError, match='is refused'):
        load_clip_checkpoint(tmp_path / 'bad.pth')
    assert not (tmp_path / 'ran').exists()


def test_getattr_is_no_way_out(tmp_path):
    class Reach:
        def __reduce__(self):
            return getattr, (HistoryBuffer, '__init__')

    torch.save({'a': Reach()}, tmp_path / 'reach.pth')
    with pytest.raises(CheckpointError, match='is refused.*getattr'):
        read_tensor_file(tmp_path / 'reach.pth')


def test_code_in_a_torchscript_archive_is_refused_and_not_run(tmp_path):
    path, witness = tmp_path / 'bad.pt', tmp_path / 'ran'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('bad/constants.pkl', pickle.dumps(()))
        archive.writestr('bad/data.pkl', pickle.dumps(Attack(witness), protocol=2))
    with pytest.raises(CheckpointError, match=r'refused: it names (posix|nt)\.mkdir'):
        read_tensor_file(path)
    assert not witness.exists()


@pytest.mark.filterwarnings('ignore:.*torch.jit.*:DeprecationWarning')
def test_torchscript_tensors_equal_the_modules(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 2), torch.nn.BatchNorm2d(3), torch.nn.Linear(3, 4).half())
    model[2].weight.data = torch.randn(3, 4).half().T  # a view with strides
    torch.jit.script(model).save(str(tmp_path / 'net.pt'))
    tensors, metadata = read_tensor_file(tmp_path / 'net.pt')
    assert metadata == {}
    assert tensors.keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensors[name], tensor, rtol=0, atol=0)


@pytest.mark.filterwarnings('ignore:.*torch.jit.*:DeprecationWarning')
def test_damaged_torchscript_is_named(tmp_path):
    torch.jit.script(torch.nn.Linear(3, 4)).save(str(tmp_path / 'net.pt'))
    with zipfile.ZipFile(tmp_path / 'net.pt') as whole, zipfile.ZipFile(tmp_path / 'cut.pt', 'w') as cut:
        for name in whole.namelist():
            if '/data/' not in name:
                cut.writestr(name, whole.read(name))
    with pytest.raises(CheckpointError, match=r'cut\.pt is a damaged TorchScript archive'):
        read_tensor_file(tmp_path / 'cut.pt')


def test_training_checkpoints_with_log_history_are_read(tmp_path):
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    torch.save(
        {'state_dict': {'a': torch.ones(2)}, 'message_hub': {'loss': history, 'lr': np.float64(0.1)}},
        tmp_path / 'a.pth',
    )
    content, _ = read_tensor_file(tmp_path / 'a.pth')
    assert content['state_dict']['a'].tolist() == [1, 1]
    assert content['message_hub']['loss'].current() == 2.0


@pytest.mark.parametrize('name', ['cut.pth', 'cut.safetensors'])
def test_truncated_files_are_named(tmp_path, name):
    path = tmp_path / name
    tensors = {'a': torch.zeros(1000)}
    save_file(tensors, path) if path.suffix == '.safetensors' else torch.save(tensors, path)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(CheckpointError, match=name.replace('.', r'\.')):
        read_tensor_file(path)


@pytest.mark.parametrize('content', [b'', b'hello, this is text\n' * 20])
@pytest.mark.parametrize('name', ['note.pth', 'note.safetensors'])
def test_files_that_are_no_checkpoints_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match='note'):
        read_tensor_file(tmp_path / name)


def test_a_bare_tensor_is_no_model(tmp_path):
    torch.save(torch.zeros(3), tmp_path / 'tensor.pt')
    with pytest.raises(CheckpointError, match='holds a Tensor, not a dict'):
        read_tensor_file(tmp_path / 'tensor.pt')


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r'nothing\.pth does not exist'):
        read_tensor_file(tmp_path / 'nothing.pth')
