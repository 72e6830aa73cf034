"""Files from the hub, through huggingface_hub's own client and a server on this machine."""

import hashlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from tests.file_size_limit import files_of_at_most
from tests.hub_server import READER, STRANGER, WRITER
from vadlab.checkpoints.checkpoint_io import read_checkpoint
from vadlab.utils import hub_session
from vadlab.utils.errors import CheckpointError, ConfigError, HubError
from vadlab.utils.hub_address import parse_address
from vadlab.utils.hub_files import hub_config, is_inside, local_checkpoint, open_repository

WEIGHTS = save({'w': torch.arange(30_000.0)})
CONFIG = b'{"format": 1, "variables": {}, "settings": {"model": {"type": "RTFM", "feature_dim": 8}}}'


def digest(content):
    return hashlib.sha256(content).hexdigest()


def model(weights=WEIGHTS, config=CONFIG, **more):
    """The files of a pushed model."""
    files = {'model.safetensors': weights, 'config.json': config}
    listed = {name: {'sha256': digest(content), 'bytes': len(content)} for name, content in files.items()}
    return {**files, 'vadlab.json': json.dumps({'format': 1, 'files': listed, **more}).encode()}


def again():
    """A new process would not remember the commits."""
    open_repository.cache_clear()


def test_weights_and_config_of_a_pushed_model(hub):
    hub.repo('lab/x', model())
    assert torch.equal(read_checkpoint('hf://lab/x')['state_dict']['w'], torch.arange(30_000.0))
    assert Path(hub_config('hf://lab/x')).read_bytes() == CONFIG
    assert read_checkpoint(Path('hf://lab/x')).keys() == {'state_dict'}  # pathlib removes a slash


def test_paths_are_unchanged():
    assert local_checkpoint('work_dirs/a.pth') == 'work_dirs/a.pth'


def test_a_branch_a_commit_and_a_file_are_pinned(hub):
    repo = hub.repo('lab/x', model())
    old = repo.branches['main']
    repo.commit(model(save({'w': torch.zeros(2)})), 'main')
    repo.commit(model(save({'w': torch.ones(3)})), 'v2')
    read = lambda address: read_checkpoint(address)['state_dict']['w'].tolist()  # noqa: E731
    assert read('hf://lab/x') == [0, 0]
    assert read('hf://lab/x@v2') == [1, 1, 1]
    assert read('hf://lab/x@v2/model.safetensors') == [1, 1, 1]
    assert len(read(f'hf://lab/x@{old}')) == 30_000


def test_all_files_of_a_process_are_of_one_commit(hub):
    repo = hub.repo('lab/x', model())
    hub_config('hf://lab/x')
    repo.commit(model(save({'w': torch.zeros(2)}), b'{}'), 'main')
    assert len(read_checkpoint('hf://lab/x')['state_dict']['w']) == 30_000


def test_a_checksum_in_the_address(hub):
    hub.repo('lab/x', model())
    assert local_checkpoint(f'hf://lab/x#sha256={digest(WEIGHTS)}').endswith('model.safetensors')
    with pytest.raises(HubError, match=r'lab/x: its checksum is not the one in the address: .*@COMMIT') as found:
        local_checkpoint(f'hf://lab/x#sha256={"0" * 64}')
    assert 'rm ' not in str(found.value)  # the file is whole


# ---- damage


def test_a_file_that_differs_from_the_manifest_is_refused(hub):
    files = model()
    files['model.safetensors'] = save({'w': torch.arange(30_000.0) + 1})
    hub.repo('lab/x', files)
    with pytest.raises(HubError, match=r"safetensors: its checksum is not the one in the repository's vadlab\.json"):
        read_checkpoint('hf://lab/x')


def test_damage_in_the_cache_is_noticed_and_removed_as_the_message_says(hub):
    hub.repo('lab/x', model())
    path = Path(local_checkpoint('hf://lab/x')).resolve()
    path.write_bytes(path.read_bytes()[:-1] + b'!')
    with pytest.raises(HubError, match=f'Remove it and try again: rm {path}'):
        local_checkpoint('hf://lab/x')
    path.unlink()
    assert Path(local_checkpoint('hf://lab/x')).read_bytes() == WEIGHTS


def test_a_large_file_of_any_repository_is_compared_with_the_hubs_name_of_it(hub):
    """Without a manifest: the hub's ETag of a large file is its SHA-256."""
    hub.repo('other/y', {'a.safetensors': WEIGHTS})
    assert Path(local_checkpoint('hf://other/y/a.safetensors')).read_bytes() == WEIGHTS
    again()
    hub.repo('other/z', {'a.safetensors': WEIGHTS})
    hub.damaged['a.safetensors'] = WEIGHTS[:-4] + b'\0\0\1\0'
    with pytest.raises(HubError, match=r'other/z@\w+/a\.safetensors: its checksum is not the one in the hub'):
        local_checkpoint('hf://other/z/a.safetensors')


@pytest.mark.parametrize(
    ('manifest', 'message'),
    [
        (b'{', 'vadlab.json cannot be used'),
        (b'{"format": 1}', "is not a manifest of vadlab push: it has no 'files'"),
        (b'{"format": 7, "files": {}}', 'has the format 7; this VADLab reads up to 1'),
        (json.dumps({'format': 1, 'files': {'../x': {'sha256': 'a' * 64, 'bytes': 1}}}).encode(), "'../x' is not the"),
        (json.dumps({'format': 1, 'files': {'x': {'sha256': 'a', 'bytes': 1}}}).encode(), 'no valid sha256'),
        (b'{"format": 1, "files": {}}', "does not list 'model.safetensors'"),
    ],
)
def test_damaged_manifests(hub, manifest, message):
    hub.repo('lab/x', {**model(), 'vadlab.json': manifest})
    with pytest.raises(HubError, match=message):
        local_checkpoint('hf://lab/x')


@pytest.mark.parametrize('name', ['', '/a', 'a/../b', '..', 'a//b', 'a\\b', 'c:x', 'a\n', './a'])
def test_names_that_leave_the_folder(name):
    assert not is_inside(name)


class _Code:
    def __reduce__(self):
        return os.mkdir, ('ran',)


@pytest.mark.parametrize('name', ['a.safetensors', 'a.pth', 'a.bin'])
def test_a_pickle_under_any_name_is_not_run(hub, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    inside = io.BytesIO()
    torch.save(_Code(), inside)
    for number, content in enumerate((pickle.dumps(_Code()), inside.getvalue())):
        hub.repo(f'evil/x{number}', {name: content})
        with pytest.raises(CheckpointError, match='refused|not a complete safetensors'):
            read_checkpoint(f'hf://evil/x{number}/{name}')
        pushed = model(content)
        hub.repo(f'evil/p{number}', pushed)
        with pytest.raises(CheckpointError, match='not a complete safetensors'):
            read_checkpoint(f'hf://evil/p{number}')
    assert not (tmp_path / 'ran').exists()


def test_a_config_in_python_is_never_a_config_of_the_hub(hub):
    hub.repo('evil/x', {**model(), 'config.py': b'import os'})
    with pytest.raises(ConfigError, match=r'hf://evil/x/config\.py is not a config'):
        hub_config('hf://evil/x/config.py')


# ---- what a hub refuses


@pytest.mark.parametrize(
    ('address', 'message'),
    [
        ('hf://lab/nothing', 'there is no such repository, or it is private or needs a login.*hf auth login.*HF_TOKEN'),
        ('hf://lab/private', 'there is no such repository, or it is private or needs a login'),
        ('hf://lab/gated', r'the owner admits readers one by one\. Ask at http://127.*/lab/gated'),
        ('hf://lab/x@gone', r"the repository lab/x has no revision 'gone'\. Was it renamed or removed\?"),
        (f'hf://lab/x@{"0" * 40}', 'has no revision'),
        ('hf://lab/x/none.pth', r"the repository has no file 'none\.pth'"),
        ('hf://other/plain', r'has no vadlab\.json, so vadlab push did not write it\. Name the file of weights'),
        ('hf://datasets/lab/d', 'is a repository of data, not a checkpoint'),
        ('hf://lab/x/README.md', 'is not a checkpoint'),
        ('hf://lab', 'is not an address of the Hugging Face hub'),
    ],
)
def test_what_cannot_be_had_is_one_message(hub, address, message):
    hub.repo('lab/x', model())
    hub.repo('lab/private', model(), private=True)
    hub.repo('lab/gated', model(), gated=True)
    hub.repo('other/plain', {'w.safetensors': WEIGHTS})
    with pytest.raises((HubError, ConfigError), match=message) as found:
        local_checkpoint(address)
    assert len(str(found.value).splitlines()) == 1


def test_a_token_opens_a_private_repository(hub, monkeypatch):
    hub.repo('lab/private', model(), private=True)
    monkeypatch.setenv('HF_TOKEN', READER)
    assert Path(local_checkpoint('hf://lab/private')).is_file()
    again()
    monkeypatch.setenv('HF_TOKEN', 'hf_unknown')
    with pytest.raises(HubError, match=r'the hub refuses access \(401\)\. Check the token: log in'):
        local_checkpoint('hf://lab/private')
    monkeypatch.setenv('HF_TOKEN', STRANGER)
    with pytest.raises(HubError, match='there is no such repository, or it is private'):
        local_checkpoint('hf://lab/private')
    assert WRITER not in (READER, STRANGER)


# ---- network


def test_without_network_the_cache_is_used_and_told(hub, capsys, monkeypatch):
    monkeypatch.setattr(hub_session, 'HUB_TIMEOUT_S', 2)
    repo = hub.repo('lab/x', model())
    first = local_checkpoint('hf://lab/x')
    again()
    hub.silent = True
    assert local_checkpoint('hf://lab/x') == first
    assert f'cannot be reached. Using the commit in the cache, {repo.branches["main"][:12]}' in capsys.readouterr().err


def test_offline_the_cache_is_used_without_a_request(hub, monkeypatch):
    import huggingface_hub.constants as constants

    hub.repo('lab/x', model())
    first = local_checkpoint('hf://lab/x')
    again()
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    before = len(hub.asked)
    assert local_checkpoint('hf://lab/x') == first
    assert len(hub.asked) == before
    with pytest.raises(HubError, match=r'vadlab\.json is not in the cache .*HF_HUB_OFFLINE forbids'):
        local_checkpoint('hf://lab/y')


def test_a_pinned_commit_in_the_cache_needs_no_request(hub):
    commit = hub.repo('lab/x', model()).branches['main']
    local_checkpoint(f'hf://lab/x@{commit}')
    again()
    before = len(hub.asked)
    local_checkpoint(f'hf://lab/x@{commit}')
    assert len(hub.asked) == before


def test_a_hub_that_is_gone_is_one_message(hub, monkeypatch):
    import huggingface_hub.constants as constants

    monkeypatch.setattr(
        constants, 'HUGGINGFACE_CO_URL_TEMPLATE', 'http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}'
    )
    with pytest.raises(HubError, match='cannot be reached, or broke off: .*Check the network'):
        local_checkpoint('hf://lab/x')


def test_a_download_that_breaks_off_continues_where_it_was(hub):
    hub.repo('lab/x', model())
    hub.cut_after['model.safetensors'] = [50_000]
    assert Path(local_checkpoint('hf://lab/x')).read_bytes() == WEIGHTS
    assert [method for method, path in hub.asked if path.endswith('model.safetensors') and method == 'GET'] == [
        'GET'
    ] * 2


def test_a_server_that_stays_away_leaves_nothing_behind(hub, monkeypatch, tmp_path):
    import huggingface_hub.file_download as file_download

    monkeypatch.setattr(file_download.time, 'sleep', lambda _: None)
    hub.repo('lab/x', model())
    hub.cut_after['model.safetensors'] = [0] * 20
    with pytest.raises(HubError, match='lab/x@.*cannot be reached, or broke off'):
        local_checkpoint('hf://lab/x')
    assert not list((tmp_path / 'cache').rglob('*.incomplete'))
    hub.cut_after.clear()
    assert Path(local_checkpoint('hf://lab/x')).read_bytes() == WEIGHTS  # the next run


def test_a_killed_download_starts_again_and_what_it_left_is_removed(hub, tmp_path, capsys):
    """Really killed, while the library waits to continue a download that broke off."""
    weights = save({'w': torch.arange(3_000_000.0)})  # 12 MB; the library writes 10 MB at a time
    hub.repo('lab/x', model(weights))
    hub.cut_after['model.safetensors'] = [11_000_000] + [0] * 50
    code = 'from vadlab.utils.hub_files import local_checkpoint; local_checkpoint("hf://lab/x")'
    changes = {'HF_ENDPOINT': hub.endpoint, 'HF_HUB_CACHE': str(tmp_path / 'cache'), 'HF_HUB_DISABLE_XET': '1'}
    process = subprocess.Popen([sys.executable, '-c', code], env={**os.environ, **changes}, stderr=subprocess.DEVNULL)
    parts = []
    end = time.monotonic() + 60
    while time.monotonic() < end and not (parts and parts[0].stat().st_size):
        parts = list((tmp_path / 'cache').rglob(f'{digest(weights)}.*.incomplete'))
        time.sleep(0.02)
    process.kill()
    process.wait()
    (part,) = parts
    assert 0 < part.stat().st_size < len(weights)
    shared = part.with_name('0123.incomplete')  # of an earlier version, which continues it
    shared.touch()
    os.utime(shared, (0, 0))
    hub.cut_after.clear()
    assert Path(local_checkpoint('hf://lab/x')).read_bytes() == weights
    assert part.exists()  # it could be another process's
    long_ago = time.time() - 3 * 3600
    os.utime(part, (long_ago, long_ago))
    size = part.stat().st_size
    again()
    hub.repos['models/lab/x'].commit(model(save({'w': torch.arange(9.0)})))
    assert len(read_checkpoint('hf://lab/x')['state_dict']['w']) == 9
    assert not part.exists()
    assert shared.exists()
    assert f'removed from the cache: {size / 2**20:,.1f} MiB of a download of hf://lab/x' in capsys.readouterr().err


# ---- a full disk


def test_a_disk_without_room_is_noticed_before_the_download(hub, monkeypatch):
    hub.repo('lab/x', model())
    usage = shutil.disk_usage('/')
    monkeypatch.setattr(hub_session.shutil, 'disk_usage', lambda _: usage._replace(free=1_000))
    with pytest.raises(HubError, match=r'the disk of the cache is full .*0\.1 MiB needed\)\. Make room.*HF_HOME'):
        local_checkpoint('hf://lab/x')
    assert not any(path.endswith('model.safetensors') for _, path in hub.asked)


def test_a_disk_that_fills_up_is_one_message(hub, tmp_path):
    """A real limit: the operating system refuses to write more than 40 kB to a file."""
    hub.repo('lab/x', model())
    message = r'the disk of the cache is full \(.*MiB free\)\. Make room'
    with files_of_at_most(40_000), pytest.raises(HubError, match=message) as found:
        local_checkpoint('hf://lab/x')
    assert len(str(found.value).splitlines()) == 1
    assert not list((tmp_path / 'cache').rglob('*.incomplete'))


def test_a_cache_below_a_folder_that_cannot_be_made_is_not_called_a_fault_of_the_network(hub, monkeypatch):
    import huggingface_hub.constants as constants

    hub.repo('lab/tiny', model())
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', '/proc/nothing/hub')
    with pytest.raises(HubError, match=r'/proc/nothing.*: No such file or directory'):
        hub_config('hf://lab/tiny')


def test_a_cache_that_cannot_be_written_is_one_message(hub, tmp_path):
    hub.repo('lab/x', model())
    (tmp_path / 'cache').write_text('')  # a file where the folder belongs
    with pytest.raises(HubError, match='cache'):
        local_checkpoint('hf://lab/x')


def test_a_hub_without_xet_storage_is_not_a_broken_network():
    """The text is that of the client of hf_xet."""
    import huggingface_hub
    import huggingface_hub.errors

    text = (
        'Network error: HTTP status client error (404 Not Found), domain: http://h/api/models/a/b/xet-write-token/main'
    )
    reason = hub_session.reason_of(huggingface_hub, RuntimeError(text), parse_address('hf://a/b'))
    assert reason == f'hf://a/b: {huggingface_hub.constants.ENDPOINT} has no Xet storage. Set HF_HUB_DISABLE_XET=1.'
