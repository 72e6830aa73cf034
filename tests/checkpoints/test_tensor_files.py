import os
import pickle
import random
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MMLogger
from safetensors.torch import save_file

from vadlab.checkpoints.tensor_files import read_tensor_file
from vadlab.models.checkpoints.clip_loading import load_clip_checkpoint
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
    with pytest.raises(CheckpointError, match=rf'bad\{ending} is refused.*mkdir.*could run code'):
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
    with pytest.raises(CheckpointError, match='is a Tensor, not a dict'):
        read_tensor_file(tmp_path / 'tensor.pt')


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r'nothing\.pth does not exist'):
        read_tensor_file(tmp_path / 'nothing.pth')


def _repacked(source, out, compress=zipfile.ZIP_STORED, **changed):
    """The archive again, with other bytes for some records (by the end of their names)."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(out, 'w', compress) as new:
        for name in old.namelist():
            data = next((v for k, v in changed.items() if name.endswith(k)), old.read(name))
            new.writestr(name, data)
    return out


@pytest.mark.parametrize('seed', range(20))
def test_a_flipped_bit_never_changes_weights_without_a_word(tmp_path, seed):
    draw = random.Random(seed)
    path = tmp_path / 'x.pth'
    saved = {'a': torch.randn(300), 'b': torch.arange(50), 'c': {'d': torch.zeros(3, 4)}}
    torch.save(saved, path)
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
    try:
        read, _ = read_tensor_file(path)
    except CheckpointError as error:
        assert 'x.pth' in str(error)  # noqa: PT017 - either outcome is right
    else:  # it hit the padding between records
        torch.testing.assert_close(read, saved, rtol=0, atol=0)


def test_a_wrong_checksum_is_named_with_its_record(tmp_path):
    path = tmp_path / 'x.pth'
    torch.save({'a': torch.ones(1000)}, path)
    content = path.read_bytes()
    place = content.index(torch.ones(8).numpy().tobytes())
    path.write_bytes(content[:place] + b'\1' + content[place + 1 :])
    with pytest.raises(
        CheckpointError, match=r'x\.pth is damaged: the checksum of its record x/data/0 is wrong\. Copy'
    ):
        read_tensor_file(path)


def test_an_archive_without_checksums_is_read_and_told(tmp_path, caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({'a': torch.ones(3)}, tmp_path / 'x.pth')
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_tensor_file(tmp_path / 'x.pth')[0]['a'].tolist() == [1, 1, 1]
    logger.removeHandler(caplog.handler)
    assert 'x.pth was saved without checksums' in caplog.text


def test_a_small_file_that_unfolds_to_a_large_one_is_refused_before_it_does(tmp_path):
    torch.save({'a': torch.zeros(3_000_000)}, tmp_path / 'whole.pth')
    bomb = _repacked(tmp_path / 'whole.pth', tmp_path / 'x.pth', zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match=r'x\.pth is refused: its 0\.0 MiB unfold to 11\.4 MiB'):
        read_tensor_file(bomb)


def test_a_compressed_archive_of_a_sensible_size_is_read(tmp_path):
    torch.save({'a': torch.arange(1000.0)}, tmp_path / 'whole.pth')
    path = _repacked(tmp_path / 'whole.pth', tmp_path / 'x.pth', zipfile.ZIP_DEFLATED)
    assert read_tensor_file(path)[0]['a'].sum() == 499500


def test_tensors_that_claim_more_than_the_file_holds_are_refused(tmp_path):
    torch.save({'a': torch.zeros(1).expand(10**12)}, tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match=r'x\.pth is refused: its tensors claim 3,814,697\.3 MiB'):
        read_tensor_file(tmp_path / 'x.pth')
    tied = torch.zeros(1000)
    torch.save({'a': tied, 'b': tied}, tmp_path / 'tied.pth')  # which is common
    assert read_tensor_file(tmp_path / 'tied.pth')[0].keys() == {'a', 'b'}


@pytest.mark.filterwarnings('ignore:.*torch.jit.*:DeprecationWarning')
def test_a_torchscript_archive_that_claims_more_than_it_holds_is_refused(tmp_path):
    net = torch.nn.Module()
    net.a = torch.nn.Parameter(torch.zeros(1).expand(10**12))
    torch.jit.script(net).save(str(tmp_path / 'x.pt'))
    with pytest.raises(CheckpointError, match=r'x\.pt is refused: its tensors claim 3,814,697\.3 MiB'):
        read_tensor_file(tmp_path / 'x.pt')


def test_an_archive_in_two_readings_is_refused(tmp_path):
    torch.save({'a': torch.zeros(3)}, tmp_path / 'whole.pth')
    whole = (tmp_path / 'whole.pth').read_bytes()
    for name, content in (('ends.pth', whole + b'x' * 30), ('twice.pth', whole + whole)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=name):
            read_tensor_file(tmp_path / name)
    with pytest.warns(UserWarning, match='Duplicate name'), zipfile.ZipFile(tmp_path / 'whole.pth', 'a') as archive:
        archive.writestr(archive.namelist()[0], b'')
    with pytest.raises(CheckpointError, match='not laid out as torch writes it'):
        read_tensor_file(tmp_path / 'whole.pth')


def test_lists_in_themselves_and_deep_ones_are_walked_or_refused(tmp_path):
    loop = []
    loop.append(loop)
    torch.save({'a': torch.zeros(1), 'loop': loop}, tmp_path / 'loop.pth')
    assert 'loop' in read_tensor_file(tmp_path / 'loop.pth')[0]
    opened = b'\x80\x02}X\x01\x00\x00\x00a' + b']' * 50_000 + b'a' * 49_999 + b's.'
    torch.save({'a': torch.zeros(1)}, tmp_path / 'whole.pth')
    _repacked(tmp_path / 'whole.pth', tmp_path / 'deep.pth', **{'data.pkl': opened})
    with pytest.raises(CheckpointError, match=r'deep\.pth is refused: its parts are nested more than'):
        read_tensor_file(tmp_path / 'deep.pth')


@pytest.mark.parametrize('ending', ['.pth', '.safetensors'])
def test_a_file_of_another_user_is_not_called_damaged(tmp_path, ending, monkeypatch):
    """Root reads everything, so the answer of the operating system is replaced."""
    path = tmp_path / f'w{ending}'
    path.write_bytes(b'x')
    monkeypatch.setattr(os, 'access', lambda file, mode: (file, mode) != (path, os.R_OK))
    with pytest.raises(CheckpointError, match=rf'w{ending} cannot be read: you have no permission'):
        read_tensor_file(path)
