"""Features go to a hub on this machine and come back, through the real client."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.file_size_limit import files_of_at_most
from tests.hub_server import WRITER
from vadlab.utils.errors import ConfigError, DataError, HubError
from vadlab.utils.hub_address import parse_address
from vadlab.utils.hub_files import open_repository

from .tiny_features import write_data


@pytest.fixture
def features(tmp_path):
    """A folder of features with recipes; one of them names a file of this machine."""
    folder = write_data(tmp_path / 'own')
    for kind in ('features', 'blank'):
        recipe = {'recipe': {'snippet_len': 16, 'blank': kind == 'blank'}, 'facts': {'pretrained': '/home/me/clip.pt'}}
        (folder / kind / 'recipe.json').write_text(json.dumps(recipe))
    return folder


@pytest.fixture
def run(load_tool, hub, monkeypatch):
    """Runs a tool with a token that may write, as a process of its own would."""
    monkeypatch.setenv('HF_TOKEN', WRITER)

    def call(name, *arguments):
        open_repository.cache_clear()
        return load_tool(name).main([str(one) for one in arguments])

    return call


def content(folder):
    """Bytes of each file that is not hidden, by its name."""
    paths = (path for path in folder.rglob('*') if path.is_file())
    names = {path.relative_to(folder): path for path in paths}
    return {str(name): path.read_bytes() for name, path in names.items() if not str(name).startswith('.')}


def test_features_come_back_byte_by_byte(features, run, hub, tmp_path):
    run('push', features, 'lab/feats', '--licence', 'mit')
    run('pull', 'hf://datasets/lab/feats', tmp_path / 'back')
    back, own = content(tmp_path / 'back'), content(features)
    assert set(back) == {*own, 'README.md'}
    differing = {name for name in own if back[name] != own[name]}
    assert differing == {'features/recipe.json', 'blank/recipe.json'}  # without the path of this machine
    assert json.loads(back['features/recipe.json'])['facts'] == {'pretrained': 'clip.pt'}
    assert json.loads(back['features/recipe.json'])['recipe'] == json.loads(own['features/recipe.json'])['recipe']
    assert b'/home/me' not in b''.join(back.values())


def test_the_card_describes_the_sets(features, run, hub, capsys):
    run('push', features, 'lab/feats', '--licence', 'mit', '--dry-run')
    card = capsys.readouterr().out
    assert '| `features` | 12 feature files, ' in card
    assert 'snippet_len: 16' in card
    assert not hub.asked


def test_what_is_there_and_whole_is_kept_and_damage_is_repaired(features, run, hub, tmp_path, capsys):
    run('push', features, 'lab/feats', '--licence', 'mit')
    run('pull', 'hf://datasets/lab/feats', tmp_path / 'back')
    name = next(name for name in content(features) if name.endswith('.npy'))
    (tmp_path / 'back' / name).write_bytes(b'damaged')
    (tmp_path / 'back' / 'train.txt').unlink()
    run('pull', 'hf://datasets/lab/feats', tmp_path / 'back')
    assert '2 files downloaded, 28 were there' in capsys.readouterr().out
    assert (tmp_path / 'back' / name).read_bytes() == (features / name).read_bytes()


def test_a_model_is_pulled_to_a_folder(run, hub, tmp_path):
    from tests.utils.test_hub_files import model

    hub.repo('lab/x', {**model(), 'README.md': b'card'})
    run('pull', 'hf://lab/x', tmp_path / 'x')
    assert sorted(content(tmp_path / 'x')) == ['README.md', 'config.json', 'model.safetensors']


def test_a_push_of_many_files_is_several_commits_and_starts_with_the_manifest(
    features, run, hub, monkeypatch, tmp_path
):
    from vadlab.apis.publishing import upload

    monkeypatch.setattr(upload, '_MOST_IN_A_COMMIT', 10)
    run('push', features, 'lab/feats', '--licence', 'mit')
    commits = list(hub.repos['datasets/lab/feats'].commits.values())
    assert [len(files) for files in commits] == [
        1,
        11,
        21,
        31,
        33,
    ]  # with .gitattributes, and 30 files, manifest and card
    assert 'vadlab.json' in commits[1]
    run('pull', 'hf://datasets/lab/feats', tmp_path / 'back')


def test_a_push_that_was_interrupted_is_repeated(features, run, hub, monkeypatch, tmp_path):
    from vadlab.apis.publishing import upload

    monkeypatch.setattr(upload, '_MOST_IN_A_COMMIT', 10)
    run('push', features, 'lab/feats', '--licence', 'mit')
    repo = hub.repos['datasets/lab/feats']
    repo.branches['main'] = list(repo.commits)[2]  # the second commit is the last that arrived
    with pytest.raises(HubError, match='the repository has no file'):
        run('pull', 'hf://datasets/lab/feats', tmp_path / 'back')
    run('push', features, 'lab/feats', '--licence', 'mit', '--overwrite')
    run('pull', 'hf://datasets/lab/feats', tmp_path / 'back')


def test_nothing_is_written_through_links(features, run, hub, tmp_path):
    run('push', features, 'lab/feats', '--licence', 'mit')
    outside = tmp_path / 'outside'
    outside.mkdir()
    (tmp_path / 'back').mkdir()
    (tmp_path / 'back' / 'features').symlink_to(outside)
    with pytest.raises(HubError, match='is a link. Nothing is written through links'):
        run('pull', 'hf://datasets/lab/feats', tmp_path / 'back')
    assert not list(outside.iterdir())


@pytest.mark.parametrize('name', ['.git/config', 'features/.x.npy', 'sitecustomize.py', 'Makefile', 'x.pkl'])
def test_files_that_programs_may_run_are_not_pulled(run, hub, tmp_path, name):
    bytes_of = {name: b'evil', 'train.txt': b'a.npy\n'}
    files = {
        one: {'sha256': hashlib.sha256(content).hexdigest(), 'bytes': len(content)} for one, content in bytes_of.items()
    }
    hub.repo('lab/evil', {**bytes_of, 'vadlab.json': json.dumps({'format': 1, 'files': files}).encode()}, 'datasets')
    with pytest.raises(HubError, match='which vadlab push does not publish'):
        run('pull', 'hf://datasets/lab/evil', tmp_path / 'back')
    assert not (tmp_path / 'back').exists()


def test_files_that_pull_did_not_write_are_not_replaced(features, run, hub, tmp_path):
    run('push', features, 'lab/feats', '--licence', 'mit')
    back = tmp_path / 'back'
    back.mkdir()
    (back / 'train.txt').write_text('mine')
    with pytest.raises(HubError, match=r'train\.txt is there, and is neither .* nor one that vadlab pull wrote'):
        run('pull', 'hf://datasets/lab/feats', back)
    assert content(back) == {'train.txt': b'mine'}
    (back / 'train.txt').rename(back / 'README.md')
    run('pull', 'hf://datasets/lab/feats', back)
    assert (back / 'README.md').read_text() == 'mine'
    assert (back / 'train.txt').read_bytes() == (features / 'train.txt').read_bytes()


def test_a_file_that_differs_from_its_checksum_ends_the_pull(features, run, hub, tmp_path):
    run('push', features, 'lab/feats', '--licence', 'mit')
    hub.damaged['train.txt'] = b'other/list.npy\n'
    with pytest.raises(HubError, match=r'train\.txt: its checksum is not the one'):
        run('pull', 'hf://datasets/lab/feats', tmp_path / 'back')


def test_a_disk_that_fills_up_is_one_message(features, run, hub, tmp_path):
    """A real limit: the operating system refuses to write more than 200 bytes to a file."""
    run('push', features, 'lab/feats', '--licence', 'mit')
    open_repository(parse_address('hf://datasets/lab/feats'))  # the manifest is in the cache
    message = rf'the disk is full \({tmp_path}/back: .*name a folder on another disk'
    with files_of_at_most(200), pytest.raises(HubError, match=message):
        run('pull', 'hf://datasets/lab/feats', tmp_path / 'back')


def test_links_and_hidden_files_are_left_out_of_a_push(features, run, hub, tmp_path, capsys):
    secret = tmp_path / 'secret.txt'
    secret.write_text('secret')
    (features / 'link.txt').symlink_to(secret)
    (features / '.hidden.json').write_text('{}')
    (features / 'folder').symlink_to(tmp_path)
    run('push', features, 'lab/feats', '--licence', 'mit')
    assert 'left out: 3 files' in capsys.readouterr().out
    assert b'secret' not in b''.join(hub.repos['datasets/lab/feats'].commits.popitem()[1].values())


def test_mistakes(features, run, hub, tmp_path):
    with pytest.raises(ConfigError, match='--metrics is an option for models'):
        run('push', features, 'lab/x', '--licence', 'mit', '--metrics', features / 'frames.json')
    with pytest.raises(ConfigError, match='look at it by --dry-run'):
        run('push', features, 'lab/x', '--licence', 'mit', '--out', tmp_path / 'o')
    (features / 'train.txt').write_text(f'{Path.home()}/ucf/a.npy\n')
    with pytest.raises(DataError, match=r'train\.txt names files by .*which others do not have'):
        run('push', features, 'lab/x', '--licence', 'mit')
    (features / 'blank' / 'recipe.json').unlink()
    (features / 'train.txt').unlink()
    with pytest.raises(DataError, match=r'has no recipe\.json above it'):
        run('push', features, 'lab/x', '--licence', 'mit')
    with pytest.raises(ConfigError, match='name a repository, not a file'):
        run('pull', 'hf://datasets/lab/x/a.npy', tmp_path / 'o')
    with pytest.raises(HubError, match='there is no such repository'):
        run('pull', 'hf://datasets/lab/none', tmp_path / 'o')
    assert not (tmp_path / 'o').exists()
