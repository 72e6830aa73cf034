"""Configs as data. The attacks are by hand: ways in which a config in Python or a part of MMEngine runs code."""

import json
import math

import pytest

from vadlab.utils.config import load_config, runner_config
from vadlab.utils.errors import ConfigError
from vadlab.utils.own_files import CONFIGS, config_names
from vadlab.utils.plain_config import SETTINGS, from_json, plain_config, read_plain_config, to_json
from vadlab.utils.setup_env import register_all_modules

MODEL = {'type': 'RTFM', 'feature_dim': 8}


def write(path, settings, variables=None, **more):
    path.write_text(json.dumps({'format': 1, 'variables': variables or {}, 'settings': settings, **more}))
    return path


@pytest.mark.parametrize(
    'value',
    [
        {'a': (1, [2.5, None]), 'b': {'c': True}},
        {1: 'one', (2, 3): ['x']},
        {'t': float('inf'), 'u': -math.inf},
        {'__tuple__': [1]},  # a key that looks like a mark
        [],
        (),
    ],
)
def test_values_survive_json(value):
    found = from_json(json.loads(json.dumps(to_json(value), allow_nan=False)))
    assert found == value
    assert type(found) is type(value)


def test_nan_survives_json():
    assert math.isnan(from_json(to_json(math.nan)))


@pytest.mark.parametrize('value', [{'a': object()}, {'b': {1, 2}}, {'c': json.loads}])
def test_values_that_are_not_plain_are_refused(value):
    with pytest.raises(ConfigError, match=r'^[abc] is a .*which no file of plain values can hold'):
        to_json(value)


@pytest.mark.parametrize('value', [{'__tuple__': 3}, {'__x__': 1}, {'__float__': '1e3'}, {'__dict__': [[[1], 2]]}])
def test_marks_that_mark_nothing_are_refused(value):
    with pytest.raises(ConfigError, match='is not a mark'):
        from_json(value)


def refused(path, settings, message, variables=None):
    with pytest.raises(ConfigError, match=message) as found:
        read_plain_config(write(path, settings, variables))
    assert 'comes from outside and is refused' in str(found.value)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        # code that is imported or read
        ({'custom_imports': {'imports': ['os']}}, 'custom_imports: data cannot set it'),
        ({'_base_': ['/tmp/evil.py']}, '_base_: data cannot set it'),
        ({'model': {**MODEL, '_base_': 'x'}}, r'model\._base_: a name that begins with an underscore'),
        ({'model': {'type': 'RTFM', '_scope_': 'evil'}}, r'model\._scope_'),
        ({'model': {'type': 'os.system', 'command': 'id'}}, r"model\.type: 'os.system' is the path of code"),
        ({'model': {'type': 'vadlab.models.detectors.rtfm.RTFM'}}, 'is the path of code'),
        ({'model': {'type': 'mmdet::YOLOX'}}, 'is the path of code'),
        ({'model': {'type': 'eval'}}, "'eval' is not a part that VADLab registers"),
        ({'test_dataloader': {'worker_init_fn': {'type': 'os.system'}}}, 'worker_init_fn.type'),
        ({'optim_wrapper': {'constructor': 'evil.module.Class'}}, r'optim_wrapper\.constructor.*path of code'),
        ({'model': {'backbone': [{'x': {'type': 'subprocess.run'}}]}}, r'model\.backbone\.0\.x\.type'),
        # parts that read pickles or run configs
        (
            {'test_dataloader': {'dataset': {'type': 'ConcatDataset', 'datasets': []}}},
            'ConcatDataset.*part of mmengine',
        ),
        ({'model': {'type': 'MMDetProposals', 'config': 'vadlab::rtfm_demo'}}, 'it runs a config of MMDetection'),
        ({'test_evaluator': {'type': 'DumpResults', 'out_file_path': 'a'}}, 'DumpResults.*part of mmengine'),
        ({'test_dataloader': {'dataset': {'ann_file': 'data/x.PKL'}}}, 'is a pickle'),
        # configs in Python
        ({'feature_config': 'data/readme.txt'}, r"feature_config: 'data/readme.txt' is not one of the configs"),
        ({'feature_config': '/tmp/evil.py'}, 'is not one of the configs'),
        ({'feature_config': 'vadlab::../evil.py'}, 'is not one of the configs'),
        ({'model': {'type': 'DistilledRecognizer', 'teacher': {'config': 'evil'}}}, r'teacher\.config'),
        ({'model': {**MODEL, 'x': 'evil.py'}}, r'model\.x'),
        # files and servers
        ({'model': {**MODEL, 'pretrained': '/etc/passwd'}}, 'outside the folder of the data'),
        ({'model': {**MODEL, 'pretrained': '~/.ssh/id_rsa'}}, 'outside the folder of the data'),
        ({'model': {**MODEL, 'pretrained': 'data/../../x'}}, 'outside the folder of the data'),
        ({'model': {**MODEL, 'pretrained': 'C:\\x'}}, 'outside the folder of the data'),
        ({'test_dataloader': {'dataset': {'ann_file': 'http://evil.example/x'}}}, 'is the address of a server'),
        ({'model': {'client': {'type': 'OpenAIClient', 'base_url': 'https://evil.example/v1'}}}, 'address of a server'),
        ({'model': {'client': {'base_url': 'http://localhost@evil.example/'}}}, 'address of a server'),
        # a name that would end the quotes around it in a config that is saved as Python
        (
            {'optim_wrapper': {'paramwise_cfg': {'custom_keys': {"x': print(1), 'y": {'lr_mult': 1.0}}}}},
            r'optim_wrapper\.paramwise_cfg\.custom_keys: .* has quotes',
        ),
        ({'randomness': {'seed': 0, 'a\nb': 1}}, 'has quotes, backslashes or line breaks'),
        # results and hooks are the reader's own
        ({'work_dir': 'x'}, 'work_dir: data cannot set it'),
        ({'custom_hooks': []}, 'custom_hooks: data cannot set it'),
        ({'default_hooks': {}}, 'default_hooks: data cannot set it'),
        ({'load_from': 'hf://a/b'}, 'load_from: data cannot set it'),
        ({'visualizer': {}}, 'visualizer: data cannot set it'),
    ],
)
def test_attacks(tmp_path, settings, message):
    refused(tmp_path / 'config.json', settings, message)


@pytest.mark.parametrize('value', ['/etc', '../x', '~', 'http://evil.example/'])
def test_attacks_by_variables(tmp_path, value):
    refused(tmp_path / 'config.json', {'model': MODEL}, 'data_root: ', {'data_root': value})


@pytest.mark.parametrize(
    ('value', 'text', 'message'),
    [
        ('', '${root}/etc/passwd', "'/etc/passwd' is a path outside"),
        ('http:/', '${root}/evil.example/x', "'http://evil.example/x' is the address of a server"),
        ('C:', '${root}/x', "'C:/x' is a path outside"),
    ],
)
def test_attacks_by_a_variable_and_the_text_after_it(tmp_path, value, text, message):
    refused(tmp_path / 'config.json', {'model': {**MODEL, 'pretrained': text}}, message, {'root': value})


def test_python_in_a_json_file_is_not_run(tmp_path):
    path = tmp_path / 'config.json'
    path.write_text(f"open(r'{tmp_path / 'ran'}', 'w')\nmodel = dict(type='RTFM')\n")
    with pytest.raises(ConfigError, match='is not valid JSON'):
        load_config(path)
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('[]', 'is not a config of plain values: it is'),
        ('{"format": 1, "settings": {}}', "it has no 'variables'"),
        ('{"format": 9, "variables": {}, "settings": {}}', 'has the format 9; this VADLab reads up to 1'),
        ('{"format": 1, "variables": {}, "settings": {}, "settings": {"x": 1}}', 'is there twice'),
        ('[' * 9_999, 'deep|valid JSON'),
    ],
)
def test_damaged_files(tmp_path, text, message):
    (tmp_path / 'config.json').write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_plain_config(tmp_path / 'config.json')


def test_variables_are_replaced_where_a_text_begins_with_them(tmp_path):
    settings = {'model': {**MODEL, 'a': '${data_root}', 'b': ('${data_root}/x.npy', 'not ${data_root}')}}
    path = write(tmp_path / 'config.json', to_json(settings), {'data_root': 'data/ucf'})
    assert read_plain_config(path)['model'] == {**MODEL, 'a': 'data/ucf', 'b': ('data/ucf/x.npy', 'not ${data_root}')}
    assert read_plain_config(path, {'data_root': '/mnt/ucf'})['model']['b'][0] == '/mnt/ucf/x.npy'  # the user's choice


def test_a_reader_may_change_variables_and_settings(tmp_path):
    settings = {'model': MODEL, 'features': {'type': 'SnippetFeatures', 'data_root': '${data_root}'}}
    path = write(tmp_path / 'config.json', settings, {'data_root': 'data/ucf'})
    config = load_config(path, {'data_root': '/mnt/x', 'model.feature_dim': 16})
    assert (config.features.data_root, config.model.feature_dim) == ('/mnt/x', 16)
    assert config.default_hooks.logger.type == 'LoggerHook'  # VADLab's own
    with pytest.raises(ConfigError, match='no such key'):
        load_config(path, {'modle': 1})


def test_configs_are_named_so_that_no_file_of_the_working_folder_is_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'configs').mkdir()
    (tmp_path / 'configs' / 'features_clip_demo.py').write_text('raise SystemExit')
    path = write(tmp_path / 'c.json', {'model': MODEL, 'feature_config': 'configs/features_clip_demo.py'})
    assert load_config(path).feature_config == 'vadlab::features_clip_demo.py'


@pytest.mark.parametrize('part', [0, *(pytest.param(i, marks=pytest.mark.slow) for i in (1, 2, 3, 4, 5, 6, 7))])
def test_the_own_settings_of_every_config_can_be_published(part):
    """All of VADLab's experiments name only what a published config may name, and return unchanged."""
    register_all_modules()
    for name in config_names()[part::8]:
        values = runner_config(load_config(CONFIGS / f'{name}.py'))._cfg_dict.to_dict()
        kept = {key: value for key, value in values.items() if key in SETTINGS and value is not None}
        written = json.loads(json.dumps(plain_config(kept, {})['settings'], allow_nan=False))
        assert from_json(written) == kept, name
