"""The set-up script, and what it says on machines where it cannot work."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / 'tools' / 'install.py'


@pytest.fixture(scope='module')
def install():
    """tools/install.py as a module."""
    spec = importlib.util.spec_from_file_location('vadlab_install', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def run_script(*args, **env):
    command = [sys.executable, str(SCRIPT), *args]
    return subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)


def write_compiler(folder, body):
    """An executable that stands in for a compiler; its path."""
    path = folder / 'fake-c++'
    path.write_text(f'#!/bin/sh\n{body}\n')
    path.chmod(0o755)
    return str(path)


def test_no_disk_space_ends_with_one_message_and_status_2(tmp_path):
    result = run_script('--venv', str(tmp_path / 'venv'), VADLAB_MIN_DISK_GB='100000000')
    assert result.returncode == 2
    assert 'about 100000000 GB of disk space' in result.stderr
    assert 'make install VENV=' in result.stderr
    assert 'Traceback' not in result.stderr
    assert list(tmp_path.iterdir()) == [], 'nothing may be made before the check'


def test_no_compiler_ends_with_one_message_and_status_2(tmp_path):
    empty = tmp_path / 'bin'
    empty.mkdir()
    result = run_script('--venv', str(tmp_path / 'venv'), PATH=str(empty), CXX='', VADLAB_MIN_DISK_GB='0.001')
    assert result.returncode == 2
    assert "No C++ compiler: 'c++' is not on PATH" in result.stderr
    assert 'apt install g++' in result.stderr
    assert not (tmp_path / 'venv').exists()


def test_a_disk_limit_that_is_no_number_is_named(tmp_path):
    result = run_script('--check-only', VADLAB_MIN_DISK_GB='lots')
    assert result.returncode == 2
    assert "VADLAB_MIN_DISK_GB must be a number, not 'lots'" in result.stderr


def test_compiler_that_fails_is_quoted(install, tmp_path, monkeypatch):
    monkeypatch.setattr(install.sysconfig, 'get_path', lambda name: str(tmp_path))
    (tmp_path / 'Python.h').touch()
    monkeypatch.setenv('CXX', write_compiler(tmp_path, 'echo "no such option -std=c++17" >&2; exit 1'))
    with pytest.raises(install.SetupError, match=r'cannot compile a C\+\+17 program[\s\S]*no such option'):
        install.check_compiler()


def test_missing_python_headers_are_named(install, tmp_path, monkeypatch):
    monkeypatch.setattr(install.sysconfig, 'get_path', lambda name: str(tmp_path))
    monkeypatch.setenv('CXX', write_compiler(tmp_path, 'exit 0'))
    with pytest.raises(install.SetupError, match=r'no Python\.h in .*apt install g\+\+ python3\.11-dev'):
        install.check_compiler()


def test_missing_venv_module_is_named(install, monkeypatch):
    monkeypatch.setattr(install.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(install.SetupError, match='apt install python3.11-venv'):
        install.check_python()


def test_old_python_is_named(install, monkeypatch):
    monkeypatch.setattr(install.sys, 'version_info', (3, 9, 1))
    with pytest.raises(install.SetupError, match=r'needs Python 3\.11'):
        install.check_python()


def test_a_folder_that_is_no_environment_is_left_alone(install, tmp_path):
    (tmp_path / 'thesis.tex').write_text('ten years of work')
    with pytest.raises(install.SetupError, match='is not a virtual environment'):
        install.Installer(tmp_path).create_venv()
    assert (tmp_path / 'thesis.tex').read_text() == 'ten years of work'


@pytest.mark.parametrize(
    ('gpu', 'torch_cuda', 'toolkit', 'env', 'warning'),
    [
        (False, None, None, {}, ''),
        (False, '13.0', (Path('/cuda'), '13.0'), {}, ''),
        (True, '13.0', (Path('/cuda'), '13.1'), {'FORCE_CUDA': '1', 'CUDA_HOME': '/cuda'}, ''),
        (True, '13.0', (Path('/cuda'), '12.4'), {'CUDA_VISIBLE_DEVICES': ''}, 'nvcc is of CUDA 12.4'),
        (True, '13.0', None, {'CUDA_VISIBLE_DEVICES': ''}, 'there is no nvcc'),
    ],
)
def test_cuda_ops_are_built_where_gpu_and_toolkit_match(install, gpu, torch_cuda, toolkit, env, warning):
    found, said = install.mmcv_build_env(gpu, torch_cuda, toolkit)
    assert found == {'MMCV_WITH_OPS': '1', **env}
    assert (warning in said) if warning else said == ''


def test_nvcc_is_found_by_cuda_home(install, tmp_path, monkeypatch):
    (tmp_path / 'bin').mkdir()
    nvcc = tmp_path / 'bin' / 'nvcc'
    nvcc.write_text('#!/bin/sh\necho "Cuda compilation tools, release 12.8, V12.8.61"\n')
    nvcc.chmod(0o755)
    monkeypatch.setenv('CUDA_HOME', str(tmp_path))
    assert install.find_nvcc() == (tmp_path, '12.8')


def test_ops_are_compiled_with_pythons_options_but_no_debug_information(install, tmp_path, monkeypatch):
    monkeypatch.delenv('CFLAGS', raising=False)
    monkeypatch.setattr(install.sysconfig, 'get_config_var', {'CFLAGS': '-DNDEBUG -g -O3'}.get)
    assert install.compile_env(tmp_path)['CFLAGS'] == '-DNDEBUG -g -O3 -g0'


def test_the_users_compiler_options_win(install, tmp_path, monkeypatch):
    monkeypatch.setenv('CFLAGS', '-O2 -g')
    monkeypatch.setenv('MAX_JOBS', '3')
    env = install.compile_env(tmp_path)
    assert env == {'CFLAGS': '-g0 -O2 -g', 'MAX_JOBS': '3', 'TMPDIR': str(tmp_path)}


def test_pip_compiles_mmcv_with_these_options(install, tmp_path, monkeypatch):
    installer = install.Installer(tmp_path)
    installer.state_dir.mkdir()
    given = {}
    monkeypatch.setattr(install, 'is_gcc', lambda compiler: False)
    monkeypatch.setattr(install, 'run_logged', lambda command, log, env, folder: given.update({log.stem: env}) or 0)
    steps = {step.name: step for step in installer.steps()}
    for name in ('mmcv', 'mm'):
        installer.pip(steps[name])
    assert '-g0' in given['mmcv']['CFLAGS'].split()
    assert 'CFLAGS' not in given['mm']


@pytest.fixture
def header_builder(install, tmp_path):
    """An installer whose Python names a folder of headers, which a test writes; options to compile a file by hand."""
    if not install.is_gcc('c++'):
        pytest.skip('the C++ compiler is not GCC')
    installer = install.Installer(tmp_path / 'venv')
    installer.python = tmp_path / 'python'
    installer.python.write_text(f'#!/bin/sh\necho {tmp_path}\n')
    installer.python.chmod(0o755)
    installer.state_dir.mkdir(parents=True)
    (tmp_path / 'torch').mkdir()
    (tmp_path / 'use.cpp').write_text('#include <torch/types.h>\nint main() { return answer() - 42; }\n')
    return installer


def test_headers_compiled_in_advance_are_used_by_gcc(header_builder, tmp_path):
    """GCC's option -H lists the headers that it reads, and marks a precompiled one by an exclamation mark."""
    (tmp_path / 'torch' / 'types.h').write_text('#pragma once\ninline int answer() { return 42; }\n')
    flags = '-O1 -g0'
    flags += f' {header_builder.precompile_headers(tmp_path, flags)}'
    command = ['c++', '-H', *flags.split(), '-fPIC', f'-I{tmp_path}', '-std=c++17', '-DTORCH_EXTENSION_NAME=_ext']
    run = subprocess.run(
        [*command, str(tmp_path / 'use.cpp'), '-o', str(tmp_path / 'use')], capture_output=True, text=True
    )
    assert f'! {tmp_path}/torch_headers.hpp.gch' in run.stderr
    assert subprocess.run([tmp_path / 'use']).returncode == 0


def test_headers_that_do_not_compile_in_advance_are_told_and_left_out(header_builder, tmp_path, capsys):
    (tmp_path / 'torch' / 'types.h').write_text('no C++ here\n')
    assert header_builder.precompile_headers(tmp_path, '-O1') == ''
    assert "torch's headers were not compiled in advance, so this takes longer" in capsys.readouterr().out
    assert 'no C++ here' in (header_builder.state_dir / 'headers.log').read_text()


def test_progress_counts_object_files_against_the_build_plan(install, tmp_path):
    assert install.build_progress(tmp_path) == 'preparing'
    folder = tmp_path / 'pip-install-x' / 'onedl-mmcv' / 'build' / 'temp'
    (folder / 'ops').mkdir(parents=True)
    targets = 'build a.o: compile a.cpp\nbuild b.o: cuda_compile b.cu\nbuild c.o: compile c.cpp\n'
    (folder / 'build.ninja').write_text(f'rule compile\n  command = c++\n\n{targets}')
    (folder / 'ops' / 'a.o').touch()
    assert install.build_progress(tmp_path) == '1 of 3 files compiled'
    (folder / 'b.o').touch()
    (folder / 'c.o').touch()
    assert install.build_progress(tmp_path) == '3 of 3 files compiled, linking'


def test_long_commands_report_while_they_run(install, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(install, 'REPORT_EVERY_S', 1.0)
    status = install.run_logged([sys.executable, '-c', 'import time; time.sleep(2.5)'], tmp_path / 'log', {}, tmp_path)
    assert status == 0
    assert '0:01  preparing' in capsys.readouterr().out


FAKE_PYTHON = """#!{python}
# Stands in for the environment's Python: notes what it is asked to do, installs nothing.
import json, os, sys
folder, words = {folder!r}, sys.argv[1:]
state = json.load(open(folder + '/state.json'))
if '-c' in words and 'install' not in words:
    print(json.dumps(state))
elif 'install' in words:
    note = dict(words=words, env={{k: v for k, v in os.environ.items() if k in ('MMCV_WITH_OPS', 'CFLAGS')}})
    with open(folder + '/calls.jsonl', 'a') as file:
        file.write(json.dumps(note) + '\\n')
    if state['fails']:
        print('line 1\\nERROR: no matching distribution')
        sys.exit(1)
    if 'onedl-mmcv' in words:
        json.dump({{**state, 'mmcv': True, 'ops': True}}, open(folder + '/state.json', 'w'))
"""


class FakeEnvironment:
    """An environment whose Python is :data:`FAKE_PYTHON`; all else of the installer is real."""

    def __init__(self, install, folder):
        self.folder = folder
        self.installer = install.Installer(folder / 'venv')
        self.set(gpu=False, torch_cuda=None, mmcv=False, ops=False, ops_cuda=False, error='', fails=False)
        self.installer.python.parent.mkdir(parents=True)
        self.installer.python.write_text(FAKE_PYTHON.format(python=sys.executable, folder=str(folder)))
        self.installer.python.chmod(0o755)

    def set(self, **state):
        path = self.folder / 'state.json'
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**known, **state}))

    def run(self):
        """Run the installer; the pip calls that it made."""
        calls = self.folder / 'calls.jsonl'
        calls.unlink(missing_ok=True)
        self.installer.run()
        return [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []


def set_uv(monkeypatch, path):
    which = shutil.which
    monkeypatch.setattr(shutil, 'which', lambda name, *args: path if name == 'uv' else which(name, *args))


@pytest.fixture
def environment(install, tmp_path, monkeypatch):
    monkeypatch.setenv('VADLAB_MIN_DISK_GB', '0')
    set_uv(monkeypatch, None)
    return FakeEnvironment(install, tmp_path)


def test_a_second_run_installs_nothing(environment):
    assert len(environment.run()) == len(environment.installer.steps())
    assert environment.run() == []


def test_mmcv_without_ops_is_built_again_and_nothing_else(environment):
    environment.run()
    environment.set(ops=False)
    (call,) = environment.run()
    assert '--force-reinstall' in call['words']
    assert 'onedl-mmcv' in call['words']
    assert call['env']['MMCV_WITH_OPS'] == '1'
    assert '-g0' in call['env']['CFLAGS'].split()


def test_a_changed_pin_runs_the_steps_again(environment, install, tmp_path, monkeypatch):
    environment.run()
    pins = tmp_path / 'constraints.txt'
    pins.write_text('numpy==9.9\n')
    monkeypatch.setattr(install, 'CONSTRAINTS', pins)
    assert len(environment.run()) == len(environment.installer.steps())


def test_a_failing_step_shows_its_log_and_leaves_no_stamp(environment, install):
    environment.set(fails=True)
    with pytest.raises(install.SetupError, match=r'build tools failed[\s\S]*no matching distribution[\s\S]*build\.log'):
        environment.run()
    assert not (environment.installer.state_dir / 'build').exists()


def write_uv(folder, monkeypatch, status):
    """A program that stands in for uv: it notes its arguments."""
    path = folder / 'uv'
    path.write_text(f'#!/bin/sh\necho "$@" >> {folder}/uv.txt\necho no such package\nexit {status}\n')
    path.chmod(0o755)
    set_uv(monkeypatch, str(path))


def test_uv_installs_what_needs_no_compiler(environment, tmp_path, monkeypatch):
    write_uv(tmp_path, monkeypatch, 0)
    pip = [' '.join(call['words']) for call in environment.run()]
    uv = (tmp_path / 'uv.txt').read_text().splitlines()
    packages = ('open_clip_torch', 'runtime.txt', 'opencv-python-headless')
    assert [line.startswith('pip install --python ') for line in uv] == [True] * 3
    assert [name in line for name, line in zip(packages, uv, strict=True)] == [True] * 3
    assert [line for line in pip for name in packages if name in line] == []
    assert environment.run() == []  # all steps have their stamps
    assert (tmp_path / 'uv.txt').read_text().splitlines() == uv


def test_pip_installs_what_uv_cannot_and_says_so(environment, tmp_path, monkeypatch, capsys):
    write_uv(tmp_path, monkeypatch, 1)
    assert len(environment.run()) == 8
    assert capsys.readouterr().out.count('uv could not install it (no such package); pip tries') == 3
    assert environment.run() == []  # all steps have their stamps


def test_a_step_that_neither_uv_nor_pip_can_install_has_no_stamp(environment, install, tmp_path, monkeypatch):
    environment.run()
    stamp = environment.installer.state_dir / 'rest'
    stamp.unlink()
    write_uv(tmp_path, monkeypatch, 1)
    environment.set(fails=True)
    with pytest.raises(install.SetupError, match='runtime and test packages failed'):
        environment.run()
    assert not stamp.exists()
    environment.set(fails=False)
    (call,) = environment.run()  # by pip; the other steps are not run again
    assert 'requirements/runtime.txt' in ' '.join(call['words'])
    assert stamp.exists()


def test_requirement_files_and_pins_agree():
    """Every requirement has a tested pin inside its range."""
    from packaging.requirements import Requirement

    folder = SCRIPT.parents[1] / 'requirements'

    def read(name):
        lines = [line.split('#')[0].strip() for line in (folder / f'{name}.txt').read_text().splitlines()]
        return [Requirement(line) for line in lines if line]

    pins = {r.name.lower().replace('_', '-'): next(iter(r.specifier)).version for r in read('constraints')}
    for name in ('build', 'runtime', 'mminstall', 'audio', 'tests'):
        for requirement in read(name):
            pin = pins.get(requirement.name.lower().replace('_', '-'))
            assert pin is not None, f'{requirement.name} of {name}.txt has no pin'
            assert requirement.specifier.contains(pin), f'{requirement} does not allow the pin {pin}'


def test_stamp_depends_on_pip_arguments_and_files(install, tmp_path):
    path = tmp_path / 'r.txt'
    path.write_text('a')
    first = install.Step('x', 'x', ['a'], [path]).fingerprint()
    assert install.Step('x', 'x', ['a'], [path]).fingerprint() == first
    assert install.Step('x', 'x', ['b'], [path]).fingerprint() != first
    path.write_text('b')
    assert install.Step('x', 'x', ['a'], [path]).fingerprint() != first


def test_probe_prints_one_json_line(install):
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', install.PROBE], capture_output=True, text=True, check=True
    )
    state = json.loads(result.stdout.strip().splitlines()[-1])
    assert set(state) == {'gpu', 'torch_cuda', 'mmcv', 'ops', 'ops_cuda', 'error'}
