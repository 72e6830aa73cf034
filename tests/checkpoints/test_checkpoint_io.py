import builtins
import errno
import os
import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import _load_checkpoint
from torch import nn

from vadlab.checkpoints.checkpoint_io import (
    history_from_plain,
    in_our_names,
    latest_checkpoint,
    load_weights,
    read_checkpoint,
    to_plain,
    write_checkpoint,
    write_pointer,
)
from vadlab.checkpoints.tensor_files import forbid_unsafe_loading
from vadlab.utils.errors import CheckpointError, MissingFileError


class Trap:
    """Creates a file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def malicious(tmp_path):
    path = tmp_path / 'evil.pth'
    torch.save({'state_dict': {'w': torch.zeros(1)}, 'meta': Trap(tmp_path / 'sprung')}, path)
    return path


def test_checkpoint_with_code_is_refused_and_not_run(malicious, tmp_path):
    with pytest.raises(CheckpointError, match=r'evil\.pth is refused.*mkdir'):
        read_checkpoint(malicious)
    assert not (tmp_path / 'sprung').exists()


def test_mmengine_does_not_fall_back_to_unsafe_loading(malicious, tmp_path):
    forbid_unsafe_loading()
    with pytest.raises(CheckpointError, match='Loading it could run code'):
        _load_checkpoint(str(malicious))
    assert not (tmp_path / 'sprung').exists()


def test_a_file_of_another_kind_and_a_folder_are_named_as_what_they_are(tmp_path):
    (tmp_path / 'README.md').write_text('# Weights\n')
    with pytest.raises(CheckpointError, match=r'README\.md is not a checkpoint: .*Give a \.pth file'):
        read_checkpoint(tmp_path / 'README.md')
    (tmp_path / 'empty.pth').touch()
    with pytest.raises(CheckpointError, match=r'empty\.pth cannot be read as a checkpoint; is it cut short'):
        read_checkpoint(tmp_path / 'empty.pth')
    with pytest.raises(MissingFileError, match=r'is a folder\. Give a file in it: empty\.pth'):
        read_checkpoint(tmp_path)


def test_getattr_is_no_way_in(tmp_path):
    class Reach:
        def __reduce__(self):
            return getattr, (HistoryBuffer, '__init__')

    torch.save({'state_dict': {}, 'meta': Reach()}, tmp_path / 'reach.pth')
    with pytest.raises(CheckpointError, match='is refused'):
        read_checkpoint(tmp_path / 'reach.pth')


def test_checkpoints_of_other_openmmlab_projects_load(tmp_path):
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    saved = {'state_dict': {'w': torch.ones(2)}, 'message_hub': {'loss': history}, 'meta': {'score': np.float64(0.5)}}
    torch.save(saved, tmp_path / 'mm.pth')
    loaded = read_checkpoint(tmp_path / 'mm.pth')
    assert loaded['message_hub']['loss'].mean() == 1.5
    assert loaded['meta']['score'] == 0.5


def test_missing_file_names_the_nearest(tmp_path):
    (tmp_path / 'epoch_3.pth').touch()
    with pytest.raises(MissingFileError, match=r"epoch_2\.pth not found. Did you mean 'epoch_3\.pth'"):
        read_checkpoint(tmp_path / 'epoch_2.pth')
    with pytest.raises(MissingFileError, match=r'no \.pth file'):
        read_checkpoint(tmp_path / 'nowhere' / 'epoch_2.pth')


@pytest.mark.parametrize('content', [b'', b'text', None])
def test_damaged_file(tmp_path, content):
    path = tmp_path / 'x.pth'
    if content is None:
        torch.save({'state_dict': {'w': torch.zeros(1000)}}, path)
        content = path.read_bytes()[:2000]
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r'x\.pth'):
        read_checkpoint(path)


def test_file_without_weights(tmp_path):
    torch.save({'epoch': 3}, tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match='contains no state_dict; its keys are epoch'):
        read_checkpoint(tmp_path / 'x.pth')
    torch.save([1], tmp_path / 'y.pth')
    with pytest.raises(CheckpointError, match='contains no weights'):
        read_checkpoint(tmp_path / 'y.pth')


def test_weights_of_another_model_leave_the_model_as_it_is():
    model = nn.Linear(2, 3)
    before = model.weight.detach().clone()
    with pytest.raises(
        CheckpointError, match=r'missing 1: bias; unexpected 1: scale; of another shape 1: weight \(2, 2\)'
    ):
        load_weights(model, {'weight': torch.zeros(2, 2), 'scale': torch.zeros(1)}, 'x.pth')
    assert torch.equal(model.weight, before)


class FullDisk:
    """A file that takes so many bytes and then is full."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        if self.file.tell() + len(data) > self.room:
            raise OSError(errno.ENOSPC, 'No space left on device')
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.file.close()


@pytest.fixture
def full_disk(monkeypatch):
    real = builtins.open

    def fake(path, mode='r', *args, **kwargs):
        file = real(path, mode, *args, **kwargs)
        return FullDisk(file, 1000) if str(path).endswith('.part') and 'w' in mode else file

    monkeypatch.setattr(builtins, 'open', fake)


def test_full_disk_keeps_the_last_good_checkpoint(tmp_path, full_disk):
    good = tmp_path / 'epoch_1.pth'
    torch.save({'state_dict': {}}, good)
    with pytest.raises(
        CheckpointError, match=r'No space left on device.*last good checkpoint is .*epoch_1\.pth.*--resume'
    ):
        write_checkpoint({'state_dict': {'w': torch.zeros(10_000)}}, tmp_path / 'epoch_2.pth')
    assert [p.name for p in tmp_path.iterdir()] == ['epoch_1.pth']


def test_full_disk_does_not_touch_the_file_of_that_name(tmp_path, full_disk):
    path = tmp_path / 'epoch_1.pth'
    torch.save({'state_dict': {'w': torch.ones(1)}}, path)
    with pytest.raises(CheckpointError):
        write_checkpoint({'state_dict': {'w': torch.zeros(10_000)}}, path)
    assert read_checkpoint(path)['state_dict']['w'].item() == 1


def test_full_disk_in_a_run_keeps_three_and_the_best(toy_runner, tmp_path, monkeypatch):
    from vadlab.engine import runner as runner_module

    written = []

    def write(checkpoint, path):
        if len(written) >= 5:
            raise CheckpointError('Could not save: full')
        written.append(path)
        write_checkpoint(checkpoint, path)

    monkeypatch.setattr(runner_module, 'write_checkpoint', write)
    runner = toy_runner(tmp_path / 'run', max_epochs=9, **{'default_hooks.checkpoint.max_keep_ckpts': 1})
    with pytest.raises(CheckpointError, match='full'):
        runner.train()
    names = sorted(p.name for p in (tmp_path / 'run').glob('*.pth'))
    assert any(n.startswith('best_') for n in names)
    assert latest_checkpoint(tmp_path / 'run').name in names
    read_checkpoint(latest_checkpoint(tmp_path / 'run'))


def test_plain_values_survive_a_weights_only_reading(tmp_path):
    value = {
        'scalar': np.float32(1.5),
        'array': np.arange(3),
        'words': np.array(['a', 'b']),
        'tuple': (1, np.int64(2)),
        'set': {3},
        'history': HistoryBuffer([1.0, 2.0], [1, 2]),
        'other': slice(1),
        'state_dict': nn.Linear(1, 1).state_dict(),
    }
    write_checkpoint(value, tmp_path / 'x.pth')
    loaded = torch.load(tmp_path / 'x.pth', weights_only=True)
    assert loaded['scalar'] == 1.5
    assert loaded['array'].tolist() == [0, 1, 2]
    assert loaded['words'] == ['a', 'b']
    assert loaded['tuple'] == (1, 2)
    assert loaded['other'] == 'slice(None, 1, None)'
    history = history_from_plain(loaded['history'])
    assert history.data[0].tolist() == [1.0, 2.0]
    assert history.data[1].tolist() == [1.0, 2.0]
    assert set(loaded['state_dict']) == {'weight', 'bias'}


def test_plain_numbers_lose_their_subclass():
    assert type(to_plain(np.float64(2))) is float
    assert type(to_plain(np.bool_(True))) is bool
    pickle.dumps(to_plain({'a': np.str_('x')}))
    assert type(to_plain(np.str_('x'))) is str


def test_latest_checkpoint_without_its_pointer(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    # A touched file is not a newer one, and numbers are not compared as text.
    for i, name in enumerate(['epoch_10.pth', 'epoch_9.pth', 'epoch_8.pth', 'best_x.pth', 'epoch_11_copy.pth']):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (i, i))
    assert latest_checkpoint(tmp_path).name == 'epoch_10.pth'
    (tmp_path / 'last_checkpoint').write_text('')  # cut by a full disk
    assert latest_checkpoint(tmp_path).name == 'epoch_10.pth'
    for text in ('epoch_9.pth', 'epoch_9.pth\n', '/moved/from/here/epoch_9.pth', '../epoch_9.pth'):
        (tmp_path / 'last_checkpoint').write_text(text)
        assert latest_checkpoint(tmp_path).name == 'epoch_9.pth'
    (tmp_path / 'last_checkpoint').write_bytes(b'\xff\x00epoch')
    assert latest_checkpoint(tmp_path).name == 'epoch_10.pth'


@pytest.mark.parametrize(('iterations', 'newest'), [(50, 'epoch_3.pth'), (70, 'iter_5.pth')])
def test_latest_of_checkpoints_by_epoch_and_by_iteration(tmp_path, iterations, newest):
    write_checkpoint({'state_dict': {}, 'meta': {'iter': 60}}, tmp_path / 'epoch_3.pth')
    write_checkpoint({'state_dict': {}, 'meta': {'iter': iterations}}, tmp_path / 'iter_5.pth')
    assert latest_checkpoint(tmp_path).name == newest


def test_pointer_of_a_moved_folder_does_not_lead_to_another_run(tmp_path):
    old, new = tmp_path / 'old', tmp_path / 'new'
    for folder in (old, new):
        folder.mkdir()
        (folder / 'epoch_2.pth').touch()
        write_pointer(folder, folder / 'epoch_2.pth')
    assert (old / 'last_checkpoint').read_text() == 'epoch_2.pth'
    for text in (str(new / 'epoch_2.pth'), '../new/epoch_2.pth'):
        (old / 'last_checkpoint').write_text(text)
        assert latest_checkpoint(old) == old / 'epoch_2.pth'
    (old / 'epoch_2.pth').rename(old / 'epoch_1.pth')
    assert latest_checkpoint(old) == old / 'epoch_1.pth'
    (old / 'epoch_1.pth').unlink()
    assert latest_checkpoint(old) is None


def test_pointer_to_a_folder_of_checkpoints(tmp_path):
    work_dir, elsewhere = tmp_path / 'work', tmp_path / 'checkpoints'
    work_dir.mkdir()
    elsewhere.mkdir()
    (elsewhere / 'epoch_1.pth').touch()
    write_pointer(work_dir, elsewhere / 'epoch_1.pth')
    assert latest_checkpoint(work_dir) == elsewhere / 'epoch_1.pth'


def test_folder_that_cannot_be_written_is_no_full_disk(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EPERM, 'Operation not permitted')

    monkeypatch.setattr(builtins, 'open', refuse)
    with pytest.raises(CheckpointError, match='Operation not permitted.*Make that possible, then continue') as caught:
        write_checkpoint({'state_dict': {}}, tmp_path / 'epoch_1.pth')
    assert 'Make room' not in str(caught.value)


def test_interrupted_save_leaves_no_part(tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, 'save', interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint({'state_dict': {}}, tmp_path / 'epoch_1.pth')
    assert not list(tmp_path.iterdir())


class Ported(nn.Linear):
    """Knows the layout of a code that calls its parameters w and b."""

    public_layouts = ('someone/w-and-b',)

    def from_public(self, tensors):
        return {'weight': tensors['w'], 'bias': tensors['b']} if tensors.keys() == {'w', 'b'} else None


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_weights_in_a_known_layout_are_renamed_and_others_left(prefix):
    model = Ported(2, 1)
    weight, bias = torch.ones(1, 2), torch.zeros(1)
    for names in (('weight', 'bias'), ('w', 'b')):
        given = {f'{prefix}{names[0]}': weight, f'{prefix}{names[1]}': bias}
        found = in_our_names(model, given, 'x.pkl')
        assert found.keys() == {'weight', 'bias'}
        assert found['weight'] is weight
    own = model.state_dict()
    assert in_our_names(model, own, 'x.pth') is own


def test_an_unknown_layout_names_those_that_are_known():
    with pytest.raises(CheckpointError, match=r'x\.pkl is neither a checkpoint of Ported nor.*someone/w-and-b.*scale'):
        in_our_names(Ported(2, 1), {'scale': torch.ones(1)}, 'x.pkl')


def test_weights_of_another_size_or_of_a_model_without_layouts_are_left_to_the_exact_check():
    partly = {'weight': torch.ones(1, 2)}
    assert in_our_names(Ported(2, 1), partly, 'x.pth') is partly
    other = {'scale': torch.ones(1)}
    assert in_our_names(nn.Linear(2, 1), other, 'x.pth') is other


@pytest.mark.parametrize('key', [None, 'model_state_dict', 'model', 'net'])
def test_weights_are_found_where_public_code_keeps_them(tmp_path, key):
    weights = {'w': torch.ones(2)}
    torch.save({key: weights, 'epoch': 3} if key else weights, tmp_path / 'x.pkl')
    assert read_checkpoint(tmp_path / 'x.pkl')['state_dict'].keys() == {'w'}


def test_a_whole_pickled_module_is_refused(tmp_path):
    torch.save(nn.Linear(2, 1), tmp_path / 'module.pt')
    with pytest.raises(CheckpointError, match=r'module\.pt is refused'):
        read_checkpoint(tmp_path / 'module.pt')
