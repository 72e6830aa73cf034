"""The command ``vadlab``: the tools, in any folder, from a clone and from a wheel."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from vadlab.__main__ import _summary, commands, main
from vadlab.apis.doctor import EXTRAS, describe, without_paths
from vadlab.utils import printable
from vadlab.utils.config import read_config
from vadlab.utils.errors import ConfigError, MissingFileError
from vadlab.utils.own_files import CONFIGS, config_file, own_file

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """A folder that is no clone; what a command changes in the process is undone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(printable, 'is_command', False)


def vadlab(*args, path=ROOT):
    """Run the command in a process of its own, in this folder."""
    env = {**os.environ, 'PYTHONPATH': str(path), 'COLUMNS': '120'}
    return subprocess.run([sys.executable, '-m', 'vadlab', *args], capture_output=True, text=True, env=env, timeout=120)


def test_every_tool_is_a_command_with_a_summary(capsys):
    tools = {path.stem.replace('_', '-') for path in (ROOT / 'tools').glob('*.py')}
    assert tools - set(commands()) == {'benchmark', 'install', 'zoo'}
    assert main(['--help']) == 0
    rows = dict(re.findall(r'^  (\S+)  +(\S.*)$', capsys.readouterr().out, re.MULTILINE))
    assert set(rows) == {*commands(), 'list', 'copy-config', 'doctor'}


def test_list_has_all_words(capsys):
    main(['list', 'demo', 'RTFM'])
    assert re.fullmatch(r'rtfm_demo  \S.*\n', capsys.readouterr().out)
    with pytest.raises(ConfigError, match=r"No config has 'rtfm_ufc' in its name\. Did you mean 'rtfm"):
        main(['list', 'rtfm_ufc'])


def test_descriptions_of_configs_end_with_their_sentence(tmp_path):
    for text, wanted in (
        ('# One line.\n# Another.\nx = 1\n', 'One line'),
        ('# A config with the training of\n# https://a.b/c. It is\n# long.\nx = 1\n', 'A config with the training of https://a.b/c'),
        ('# A config\n#   vadlab train x\nx = 1\n', 'A config'),
        ('# A config. It has two\n# sentences.\n', 'A config. It has two sentences'),
    ):  # fmt: skip
        (tmp_path / 'x.py').write_text(text)
        assert _summary(tmp_path / 'x.py') == wanted


@pytest.mark.parametrize('name', ['list', 'copy-config', 'doctor'])
def test_commands_that_are_not_tools_have_help_and_no_options(name, capsys):
    assert main([name, '--help']) == 0
    assert capsys.readouterr().out.startswith(f'usage: vadlab {name}')
    with pytest.raises(ConfigError, match='there are no options, not --json'):
        main([name, '--json'])


def test_doctor_refuses_arguments():
    with pytest.raises(ConfigError, match='takes no arguments, not mine'):
        main(['doctor', 'mine'])


def test_config_of_a_name_a_path_or_a_scheme(tmp_path):
    own = str(CONFIGS / 'fgclip_ucf.py')
    for text in ('fgclip_ucf', 'fgclip_ucf.py', 'configs/fgclip_ucf.py', 'vadlab::fgclip_ucf.py', 'vadlab::fgclip_ucf'):
        assert config_file(text) == own
    Path('fgclip_ucf.py').write_text('x = 1')
    assert config_file('fgclip_ucf.py') == 'fgclip_ucf.py'  # a file here comes first
    Path('fgclip_demo').mkdir()
    assert config_file('fgclip_demo') == str(CONFIGS / 'fgclip_demo.py')  # a folder is no config
    assert config_file('gone/fgclip_ucf.py') == 'gone/fgclip_ucf.py'


def test_files_that_a_config_names_are_found_in_any_folder():
    config = read_config('pel4vad_demo')
    assert Path(config.clip).is_file()
    assert Path(config.prompts).is_file()
    assert own_file('configs/gone.json') == 'configs/gone.json'


def test_copied_config_means_the_same(capsys):
    """Against the config itself."""
    for name in ('rtfm_ucf', 'fgclip_demo_queue', 'vera_demo'):
        main(['copy-config', name, 'mine/'])
        copied, own = read_config(f'mine/{name}.py'), read_config(name)
        assert copied.to_dict() == own.to_dict()
    comments = [line for line in Path('mine/rtfm_ucf.py').read_text().splitlines() if line.startswith('#')]
    assert any(line.endswith(' mine/rtfm_ucf.py') for line in comments)  # its commands are of the copy
    assert not any('configs/rtfm_ucf.py' in line for line in comments)
    with pytest.raises(ConfigError, match=r'mine/rtfm_ucf\.py exists\. Name another file'):
        main(['copy-config', 'rtfm_ucf', 'mine'])
    with pytest.raises(MissingFileError, match=r"no config rtfm_ufc\. Did you mean 'rtfm_ucf'"):
        main(['copy-config', 'rtfm_ufc'])


def test_errors_and_help_name_the_command():
    found = vadlab('trian', 'fgclip_ucf')
    assert (found.returncode, found.stderr) == (
        2, "error: There is no command 'trian'. Did you mean 'train'? vadlab --help lists all.\n",
    )  # fmt: skip
    found = vadlab('train')
    assert found.returncode == 2
    assert found.stderr.startswith('usage: vadlab train [-h]')
    found = vadlab('calibrate', 'fgclip_dmo', 'none', 'videos')
    assert found.returncode == 2
    assert "Config fgclip_dmo not found. Did you mean 'fgclip_demo'" in found.stderr


def test_tools_are_named_as_they_are_called(monkeypatch):
    text = f'Run python tools/eval_scores.py, or python {ROOT}/tools/train.py x.py --resume; not other_tools/x.py'
    assert printable.printable(text) == text
    monkeypatch.setattr(printable, 'is_command', True)
    assert printable.printable(text) == 'Run vadlab eval-scores, or vadlab train x.py --resume; not other_tools/x.py'


def test_description_of_the_installation_has_no_paths():
    found = vadlab('doctor')
    assert found.returncode == 0, found.stderr
    assert 'torch' in found.stdout
    assert 'a clone' in found.stdout
    assert not re.search(r'(?<![\w.])/\w+/', found.stdout)
    assert without_paths('bad file "/home/a b/x" (C:\\me\\x), 3/4') == 'bad file "PATH b/x" (PATH), 3/4'


def test_description_has_every_extra():
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())
    extras = project['tool']['setuptools']['dynamic']['optional-dependencies']
    assert set(EXTRAS) == set(extras) - {'dev', 'docs'}
    for name, (file,) in ((name, extra['file']) for name, extra in extras.items() if name != 'dev'):
        assert file == f'requirements/{name}.txt'
        assert (ROOT / file).read_text().startswith(f'# The extra `{name}`: ')


def test_doctor_tells_every_missing_package_of_an_extra(monkeypatch):
    monkeypatch.setattr(
        'vadlab.apis.doctor.find_spec', lambda name: None if name in ('aim', 'uvicorn', 'open_clip') else name
    )
    lines = describe().splitlines()
    assert 'extra trackers (logs to MLflow, Aim or ClearML): aim missing (pip install "vadlab[trackers]")' in lines
    assert 'extra service (videos over HTTP): uvicorn missing (pip install "vadlab[service]")' in lines
    assert 'extra ray (files on the nodes of a cluster): installed' in lines
    assert any(line.endswith('open_clip missing (pip install --no-deps open_clip_torch)') for line in lines)


def test_messages_name_extras_that_there_are():
    extras = tomllib.loads((ROOT / 'pyproject.toml').read_text())['tool']['setuptools']['dynamic'][
        'optional-dependencies'
    ]
    texts = (path.read_text(encoding='utf-8') for kind in ('vadlab', 'tools') for path in (ROOT / kind).rglob('*.py'))
    named = {name for text in texts for names in re.findall(r'vadlab\[([\w,]+)\]', text) for name in names.split(',')}
    assert named <= set(extras)
    assert named >= set(EXTRAS)  # each is named where it is missed


@pytest.mark.slow
def test_wheel_works_in_an_empty_folder(tmp_path):
    source, wheels, site = tmp_path / 'source', tmp_path / 'wheels', tmp_path / 'site'
    files = subprocess.run(['git', 'ls-files', '-z'], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, files.decode().split('\0')):
        if not name.startswith('tests/') and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    command = [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', wheels, source]
    subprocess.run(command, check=True, timeout=300)
    (wheel,) = wheels.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        (metadata,) = [name for name in archive.namelist() if name.endswith('entry_points.txt')]
        assert b'vadlab = vadlab.__main__:run' in archive.read(metadata)
        (metadata,) = [name for name in archive.namelist() if name.endswith('dist-info/METADATA')]
        assert b'\nLicense-Expression: Apache-2.0\n' in archive.read(metadata)
    packaged = site / 'vadlab' / '.mim'
    for kind in ('configs/**/*.py', 'configs/**/*.txt', 'configs/**/*.json', 'tools/*.py', 'tools/benchmarks/*.py'):
        expected = {path.relative_to(ROOT) for path in ROOT.glob(kind)} - {Path('tools/install.py')}
        assert {path.relative_to(packaged) for path in packaged.glob(kind)} == expected
    assert 'a wheel' in vadlab('doctor', path=site).stdout
    assert vadlab('list', 'rtfm', path=site).stdout.startswith('rtfm_demo')
    found = vadlab('print-config', 'fgclip_demo', path=site)
    assert found.returncode == 0, found.stderr
    assert str(site) in found.stdout  # the small CLIP of the wheel
    made = vadlab(
        'make-caption-data', '--train', '20', '--val', '1', '--test', '1', '--out', str(tmp_path / 'made'), path=site
    )
    assert made.returncode == 0, made.stderr
    assert 'codebook of' in made.stdout  # embedded by the small CLIP of the wheel


def test_tools_reach_into_the_package_and_not_into_a_clone():
    """In a wheel the folder above tools/ is not the root of a clone."""
    for path in (ROOT / 'tools').glob('*.py'):
        if path.stem.replace('_', '-') in commands():
            assert not re.search(r"__file__.*/ *'vadlab", path.read_text(encoding='utf-8')), path
