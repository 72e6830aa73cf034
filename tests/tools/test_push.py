"""A tiny RTFM is trained, pushed to a hub on this machine, and used from there; only the real client is between."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from tests.hub_server import READER, STRANGER, WRITER
from vadlab.checkpoints.checkpoint_io import read_checkpoint, write_checkpoint
from vadlab.utils.errors import CheckpointError, ConfigError, DataError, HubError, MissingFileError
from vadlab.utils.hub_files import open_repository

from .tiny_features import write_config, write_data

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def trained(train, test, tmp_path_factory):
    """Folder with the data, the checkpoint ``w/epoch_1.pth`` and its metrics ``m.json``."""
    folder = tmp_path_factory.mktemp('trained')
    write_data(folder / 'secret_place' / 'features_of_mine')
    config = write_config('rtfm', folder, ROOT, folder / 'secret_place' / 'features_of_mine')
    train([str(config), '--work-dir', str(folder / 'w')])
    test([str(config), str(folder / 'w' / 'epoch_1.pth'), '--out', str(folder / 'm.json')])
    return folder


@pytest.fixture
def push(load_tool, hub, monkeypatch):
    """``main`` of tools/push.py, with a token that may write."""
    monkeypatch.setenv('HF_TOKEN', WRITER)
    tool = load_tool('push')

    def run(*arguments):
        open_repository.cache_clear()
        return tool.main([str(one) for one in arguments])

    return run


def arguments(trained, target='lab/tiny'):
    return trained / 'w' / 'epoch_1.pth', target, '--licence', 'cc-by-4.0', '--metrics', trained / 'm.json'


def test_pushed_model_has_the_same_metrics_to_the_last_digit(trained, push, hub, test, tmp_path, monkeypatch):
    assert push(*arguments(trained)) == 0
    monkeypatch.delenv('HF_TOKEN')
    monkeypatch.chdir(tmp_path)  # an empty folder
    data = tmp_path / 'elsewhere'
    shutil.copytree(trained / 'secret_place' / 'features_of_mine', data)
    options = ['--cfg-options', f'data_root={data}']
    test(['hf://lab/tiny', '--out', 'm.json', *options])
    theirs, ours = (json.loads(path.read_text()) for path in (Path('m.json'), trained / 'm.json'))
    assert theirs['metrics'] == ours['metrics']
    assert theirs['protocol'] == ours['protocol']
    assert theirs['weights'] == ours['weights']
    commit = hub.repos['models/lab/tiny'].branches['main']
    assert theirs['checkpoint'] == f'hf://lab/tiny@{commit}/model.safetensors'
    assert Path('work_dirs/lab--tiny').is_dir()


def test_files_name_nothing_of_this_machine_and_hold_no_training_state(trained, push, hub):
    push(*arguments(trained))
    files = hub.repos['models/lab/tiny'].commits[hub.repos['models/lab/tiny'].branches['main']]
    assert set(files) == {
        '.gitattributes', 'README.md', 'config.json', 'metrics.json', 'model.safetensors', 'vadlab.json',
    }  # fmt: skip
    for name, content in files.items():
        assert b'secret_place' not in content, name
        assert str(trained).encode() not in content, name
    assert json.loads(files['config.json'])['variables'] == {'data_root': 'data/features_of_mine'}
    published, own = read_checkpoint('hf://lab/tiny'), read_checkpoint(trained / 'w' / 'epoch_1.pth')
    assert published.keys() == {'meta', 'state_dict'}
    assert published['meta']['seed'] == own['meta']['seed']
    assert published['meta']['dataset_meta'] == own['meta']['dataset_meta']
    assert all(torch.equal(published['state_dict'][key], value) for key, value in own['state_dict'].items())


def test_the_card_has_licence_data_seeds_control_and_the_hubs_block(trained, push, hub):
    other = json.loads((trained / 'm.json').read_text())
    other['metrics'] = dict.fromkeys(other['metrics'], 0.5)
    (trained / 'other.json').write_text(json.dumps(other))
    more = ['--data', 'rendered | videos', '--seeds', trained / 'other.json', '--blanked', trained / 'other.json']
    push(*arguments(trained), *more)
    files = hub.repos['models/lab/tiny'].commits[hub.repos['models/lab/tiny'].branches['main']]
    card = files['README.md'].decode()
    header = yaml.safe_load(card.split('---\n')[1])
    assert (header['license'], header['library_name']) == ('cc-by-4.0', 'vadlab')
    value = json.loads((trained / 'm.json').read_text())['metrics']['frame/auc']
    results = header['model-index'][0]['results'][0]
    assert {'type': 'frame/auc', 'value': value, 'name': 'frame/auc'} in results['metrics']
    mean, deviation = (value + 0.5) / 2, abs(value - 0.5) / 2**0.5  # of two values, by hand
    assert f'| frame/auc | {value:.4f} | {mean:.4f} | {deviation:.4f} | 0.5000 | micro ROC AUC' in card
    for part in (
        'rendered \\| videos',
        '| seed | 0 |',
        'mean of 2 seeds',
        'blanked control',
        'vadlab test hf://lab/tiny',
    ):
        assert part in card
    metrics = json.loads(files['metrics.json'])
    assert metrics['protocol'].keys() == metrics['metrics'].keys()
    assert metrics['std']['frame/auc'] == pytest.approx(deviation)


def test_folder_is_written_looked_at_and_pushed_as_it_is(trained, push, hub, tmp_path, capsys):
    push(*arguments(trained), '--out', tmp_path / 'p')
    assert not hub.asked
    assert 'written: ' in capsys.readouterr().out
    (tmp_path / 'p' / 'README.md').write_text('---\nlicense: mit\n---\nmy own words')
    push(tmp_path / 'p', 'lab/tiny')
    repo = hub.repos['models/lab/tiny']
    assert repo.commits[repo.branches['main']]['README.md'].endswith(b'my own words')
    (tmp_path / 'p' / 'config.json').write_text('{}')
    with pytest.raises(HubError, match=r'config\.json: its checksum is not the one in .*vadlab\.json'):
        push(tmp_path / 'p', 'lab/other')


def test_dry_run_prints_the_card_and_asks_nobody(trained, push, hub, capsys):
    push(*arguments(trained), '--dry-run')
    out = capsys.readouterr().out
    assert '# tiny' in out
    assert 'model.safetensors (' in out
    assert not hub.asked


def test_private_and_branch(trained, push, hub):
    push(*arguments(trained), '--private', '--revision', 'v1')
    repo = hub.repos['models/lab/tiny']
    assert repo.private
    assert 'vadlab.json' in repo.commits[repo.branches['v1']]
    assert 'vadlab.json' not in repo.commits[repo.branches['main']]


def test_load_from_and_a_tool_take_the_address(trained, push, hub, train, tmp_path):
    push(*arguments(trained))
    train(
        [str(trained / 'tiny_rtfm.py'), '--work-dir', str(tmp_path / 'w'), '--cfg-options', 'load_from=hf://lab/tiny']
    )
    log = next((tmp_path / 'w').rglob('*.log')).read_text()
    assert 'Loaded weights from hf://lab/tiny' in log


def test_small_files_that_a_model_reads_are_published_with_it(hub, tmp_path, monkeypatch):
    from vadlab.apis.publishing.published_config import published_config
    from vadlab.utils.hub_files import hub_config
    from vadlab.utils.plain_config import read_plain_config

    monkeypatch.chdir(tmp_path)
    for name in ('data/a/vocab.json', 'data/b/vocab.json', 'data/a/list.txt'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / 'data' / 'model.onnx').write_text('')
    steps = [{'type': 'TokenizeWords', 'vocabulary': {'type': 'WordVocabulary', 'path': 'data/b/vocab.json'}}]
    model = {'type': 'FSGR', 'vocab': 'data/a/vocab.json', 'again': 'data/a/vocab.json', 'detector': 'data/model.onnx'}
    dataset = {'type': 'COCOCaptions', 'data_root': 'data/a', 'ann_file': 'data/a/list.txt', 'pipeline': steps}
    found = published_config({'model': model, 'test_dataloader': {'dataset': dataset}})
    assert {name: path.read_text() for name, path in found.files.items()} == {
        'files/vocab.json': 'data/a/vocab.json',
        'files/vocab_1.json': 'data/b/vocab.json',
    }
    assert found.missing == ['data/model.onnx']
    content = json.dumps(found.content).encode()
    files = {'config.json': content, **{name: path.read_bytes() for name, path in found.files.items()}}
    listed = {name: {'sha256': hashlib.sha256(one).hexdigest(), 'bytes': len(one)} for name, one in files.items()}
    hub.repo('lab/x', {**files, 'vadlab.json': json.dumps({'format': 1, 'files': listed}).encode()})
    settings = read_plain_config(hub_config('hf://lab/x'))
    assert Path(settings['model']['vocab']).read_text() == 'data/a/vocab.json'
    assert settings['model']['vocab'] == settings['model']['again']
    path = settings['test_dataloader']['dataset']['pipeline'][0]['vocabulary']['path']
    assert Path(path).read_text() == 'data/b/vocab.json'
    assert settings['test_dataloader']['dataset']['ann_file'] == 'data/a/list.txt'  # data are not published


@pytest.mark.parametrize('model', ['RTFM', 'ExemplarDetector', 'MyOwn'])
def test_a_card_of_a_method_with_and_without_code_of_authors(model):
    from vadlab.apis.publishing.model_card import CardFacts, model_card

    config = {'settings': {'model': {'type': model}}, 'variables': {}}
    card = model_card(CardFacts('lab/x', 'mit'), config, None)
    assert 'No metrics were measured' in card
    assert ("the authors' code" in card) == (model == 'RTFM')


# ---- what is refused


def test_files_of_somebody_else_are_not_replaced(trained, push, hub):
    repo = hub.repo('lab/tiny', {'README.md': b'mine', 'model.safetensors': b'mine'})
    with pytest.raises(HubError, match=r'has files that vadlab push did not write \(README\.md, model\.safetensors\)'):
        push(*arguments(trained), '--overwrite')
    assert len(repo.commits) == 1


def test_an_earlier_push_is_replaced_only_on_demand(trained, push, hub):
    push(*arguments(trained))
    repo = hub.repos['models/lab/tiny']
    before = len(repo.commits)
    with pytest.raises(HubError, match='from an earlier push. Add --overwrite'):
        push(*arguments(trained))
    assert len(repo.commits) == before
    push(*arguments(trained)[:4], '--overwrite')  # now without metrics
    assert 'metrics.json' not in repo.commits[repo.branches['main']]
    repo.commit({**repo.commits[repo.branches['main']], 'metrics.json': b'a file of my own'})
    with pytest.raises(HubError, match=r'did not write \(metrics\.json\)'):
        push(*arguments(trained), '--overwrite')


@pytest.mark.parametrize(
    ('token', 'message'),
    [
        ('', r'to push, log in \(hf auth login\) or set HF_TOKEN, with a token that may write'),
        ('hf_unknown', 'the hub does not know the token'),
        (READER, 'the token of lab may only read'),
        (STRANGER, 'the token has no right to write there'),
    ],
)
def test_tokens_without_the_right(trained, push, hub, monkeypatch, token, message):
    monkeypatch.setenv('HF_TOKEN', token)
    with pytest.raises(HubError, match=message) as found:
        push(*arguments(trained))
    assert len(str(found.value).splitlines()) == 1
    assert not hub.repos


def test_other_mistakes(trained, push, hub, tmp_path):
    checkpoint = trained / 'w' / 'epoch_1.pth'
    with pytest.raises(ConfigError, match='--licence is missing'):
        push(checkpoint, 'lab/x')
    with pytest.raises(ConfigError, match='is not an address'):
        push(checkpoint, 'x', '--licence', 'mit')
    with pytest.raises(ConfigError, match='name a repository, USER/NAME'):
        push(checkpoint, 'lab/x/file', '--licence', 'mit')
    with pytest.raises(MissingFileError, match=r'Checkpoint none\.pth not found'):
        push('none.pth', 'lab/x', '--licence', 'mit')
    with pytest.raises(HubError, match='somebody is neither you .* Push to lab/x'):
        push(checkpoint, 'somebody/x', '--licence', 'mit')
    with pytest.raises(ConfigError, match='--out .* is not empty. Name a new folder'):
        push(checkpoint, 'lab/x', '--licence', 'mit', '--out', trained)
    weights = {'state_dict': read_checkpoint(checkpoint)['state_dict']}
    write_checkpoint(weights, tmp_path / 'weights.pth')
    with pytest.raises(DataError, match='holds no config.*Name it: --config CONFIG'):
        push(tmp_path / 'weights.pth', 'lab/x', '--licence', 'mit')
    push(tmp_path / 'weights.pth', 'lab/x', '--licence', 'mit', '--config', trained / 'tiny_rtfm.py')
    weights['state_dict'] = {key: value + 1 for key, value in weights['state_dict'].items()}
    write_checkpoint(weights, tmp_path / 'other.pth')
    with pytest.raises(DataError, match=r'm\.json was made with other weights'):
        push(
            tmp_path / 'other.pth',
            'lab/y',
            '--licence',
            'mit',
            '--metrics',
            trained / 'm.json',
            '--config',
            'rtfm_demo',
        )


def test_a_setting_that_cannot_be_published_is_named(trained, push, hub):
    with pytest.raises(ConfigError, match=r'cannot be published: model\.type: .*--cfg-options') as found:
        push(*arguments(trained), '--cfg-options', 'model.type=my_code.Model')
    assert 'path of code' in str(found.value)


def test_a_hub_that_goes_down_during_the_push_changes_nothing(trained, push, hub):
    hub.repo('lab/tiny')
    commit = hub.repos['models/lab/tiny']
    hub.silent = True
    with pytest.raises(HubError, match='cannot be reached, or broke off: error 503'):
        push(*arguments(trained))
    assert len(commit.commits) == 1


def test_state_that_is_no_tensor_is_stored_without_pickle(trained, tmp_path):
    from vadlab.checkpoints.published_weights import write_published

    state = {'w': torch.ones(2), 'head._extra_state': {'classes': ['a', 'b'], 'p': {'x': torch.zeros(3)}, 't': (1, 2)}}
    write_published({'state_dict': state, 'meta': {'seed': 3, 'cfg': 'secret'}}, tmp_path / 'm.safetensors')
    found = read_checkpoint(tmp_path / 'm.safetensors')
    assert found['meta'] == {'seed': 3}
    extra = found['state_dict']['head._extra_state']
    assert extra['p']['x'].tolist() == [0, 0, 0]
    assert (extra['classes'], extra['t']) == (['a', 'b'], (1, 2))
    state['head._extra_state']['code'] = print
    with pytest.raises(CheckpointError, match=r'head\._extra_state\.code is a builtin'):
        write_published({'state_dict': state}, tmp_path / 'm.safetensors')


def test_commands_end_with_one_message_and_status_2(hub, tmp_path):
    hub.repo('lab/gated', {'a': b''}, gated=True)
    lines = []
    for arguments in (
        ['test', 'hf://lab'],
        ['test', 'hf://lab/gone'],
        ['infer', 'hf://lab/gated', __file__],
    ):
        done = subprocess.run(
            [sys.executable, '-m', 'vadlab', *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, 'PYTHONPATH': str(ROOT), 'HF_ENDPOINT': hub.endpoint, 'HF_HOME': str(tmp_path / 'h')},
        )
        assert done.returncode == 2, done.stderr
        lines.append(done.stderr.strip())
    assert all('\n' not in line and line.startswith('error: ') for line in lines), lines
    assert 'is not an address of the Hugging Face hub' in lines[0]
    assert 'there is no such repository' in lines[1]
    assert 'the owner admits readers one by one' in lines[2]


@pytest.mark.parametrize(
    ('words', 'expected'),
    [
        (['hf://lab/x', 'a.mp4', 'b.mp4'], ('hf://lab/x', 'hf://lab/x', ['a.mp4', 'b.mp4'])),
        (['hf://lab/x', '--out', 'o', 'a.mp4'], ('hf://lab/x', 'hf://lab/x', ['a.mp4'])),
        (['hf://lab/x', 'own.pth', 'a.mp4'], ('hf://lab/x', 'own.pth', ['a.mp4'])),
        (['hf://lab/x', 'hf://lab/y', 'a.mp4'], ('hf://lab/x', 'hf://lab/y', ['a.mp4'])),
        (['hf://lab/x', 'none', 'a.mp4'], ('hf://lab/x', 'none', ['a.mp4'])),
        (['c.py', 'hf://lab/y', 'a.mp4'], ('c.py', 'hf://lab/y', ['a.mp4'])),
        (['c.py', 'e.pth', '--out', 'o', 'a.mp4', 'b.mp4'], ('c.py', 'e.pth', ['a.mp4', 'b.mp4'])),
        (['hf://lab/x/config.json', 'a.mp4'], ('hf://lab/x/config.json', 'hf://lab/x', ['a.mp4'])),
    ],
)
def test_an_address_stands_for_config_and_checkpoint(load_tool, words, expected):
    args = load_tool('infer').parse_args(words)
    assert (args.config, args.checkpoint, args.inputs) == expected


@pytest.mark.parametrize('words', [['c.py'], ['c.py', 'e.pth'], ['hf://lab/x'], []])
def test_missing_arguments(load_tool, words, capsys):
    with pytest.raises(SystemExit):
        load_tool('infer').parse_args(words)
    assert 'the following arguments are required' in capsys.readouterr().err
