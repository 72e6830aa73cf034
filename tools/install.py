"""Install everything: virtual environment, torch, mmcv with compiled ops, other packages. Standard library only.

``make install`` runs it; ``make demo`` and ``make test`` run it first. Each step leaves a stamp in ``.venv/.vadlab``
that holds a hash of what it was made from: a second call takes a few seconds, and a changed pin re-runs its step.
Problems that would make a step fail after minutes (no compiler, no disk space) are checked at the start.

Environment variables:
    VADLAB_MIN_DISK_GB: Required free disk space in GB, instead of the built-in values.
    TORCH_INDEX: Address of the package index for torch, for another build of it (see docs/install.md).
    MAX_JOBS: Parallel compilers for mmcv; by default one per core, limited by memory.
    CFLAGS: Compiler options for mmcv, instead of Python's own.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / 'requirements'
CONSTRAINTS = REQUIREMENTS / 'constraints.txt'

# Measured on Linux x86-64: a finished environment takes 2.5 GB with a CPU build of torch and about 7 GB with a CUDA
# build. Compiling mmcv needs another 0.5 GB. pip's downloads need as much space as the installed packages.
DISK_GB_CPU = 5.0
DISK_GB_CUDA = 15.0
DISK_GB_BUILD = 1.0
MEMORY_GB_A_COMPILER = 2.0
REPORT_EVERY_S = 30.0

# One process reads the whole state of the environment, since importing torch takes most of the time.
PROBE = """
import importlib.util, json
state = {'gpu': False, 'torch_cuda': None, 'mmcv': False, 'ops': False, 'ops_cuda': False, 'error': ''}
try:
    state.update(mmcv=importlib.util.find_spec('mmcv') is not None)
    import torch
    state.update(gpu=torch.cuda.is_available(), torch_cuda=torch.version.cuda)
    from mmcv.ops import RoIAlign, get_compiling_cuda_version
    RoIAlign(1)(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5))
    state.update(ops=True, ops_cuda=get_compiling_cuda_version() not in ('not available', ''))
except Exception as error:
    state['error'] = f'{type(error).__name__}: {error}'
print('\\n' + json.dumps(state))
"""


class SetupError(Exception):
    """An error that the user can fix. The message says what is missing, where, and how to fix it."""


@dataclass
class Step:
    """One step of the installation.

    Args:
        name: Short unique name, used for the stamp and the log.
        title: Title shown to the user.
        pip_args: Arguments of ``pip install``.
        files: Requirement files whose change re-runs the step.
        env: Environment variables for pip.
        by_uv: Whether uv may install it: it needs no compiler and no setting of pip.
    """

    name: str
    title: str
    pip_args: list[str]
    files: list[Path] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    by_uv: bool = False

    def fingerprint(self) -> str:
        """Hash of everything that decides what this step installs."""
        digest = hashlib.sha256(json.dumps([self.pip_args, self.env]).encode())
        for path in [*self.files, CONSTRAINTS]:
            digest.update(path.read_bytes() if path.is_file() else b'')
        return digest.hexdigest()


def say(text: str) -> None:
    """Print at once, even into a pipe."""
    print(text, flush=True)


def clock(seconds: float) -> str:
    """Seconds as ``m:ss``.

    >>> clock(427.3)
    '7:07'
    """
    return f'{int(seconds) // 60}:{int(seconds) % 60:02d}'


# ---------------------------------------------------------------------------------------------- checks before the work
def check_python() -> None:
    """Fail unless this interpreter can create the environment."""
    if sys.version_info < (3, 11):  # noqa: UP036 - may run with any Python of the user
        raise SetupError(
            f'VADLab needs Python 3.11, this is {sys.version.split()[0]} ({sys.executable}). Install it, or set '
            'the path of one: make install PYTHON=/path/to/python3.11'
        )
    if sys.version_info[:2] != (3, 11):
        say(f'note: tested with Python 3.11, this is {sys.version.split()[0]}')
    if importlib.util.find_spec('venv') is None or importlib.util.find_spec('ensurepip') is None:
        raise SetupError(
            f'{sys.executable} has no venv module, so .venv cannot be made. Install it (Debian, Ubuntu: '
            'apt install python3.11-venv), or use a complete Python: make install PYTHON=/path/to/python3.11'
        )


def has_nvidia_gpu() -> bool:
    """Whether this machine has a visible NVIDIA GPU."""
    return Path('/proc/driver/nvidia/version').exists() or shutil.which('nvidia-smi') is not None


def nearest_existing(path: Path) -> Path:
    """``path`` or the first of its parents that exists."""
    path = path.resolve()
    while not path.exists():
        path = path.parent
    return path


def check_disk(target: Path, needed_gb: float, what: str) -> None:
    """Fail unless ``target``'s file system has ``needed_gb`` (10^9 bytes) left."""
    place = nearest_existing(target)
    free_gb = shutil.disk_usage(place).free / 1e9
    if free_gb < needed_gb:
        raise SetupError(
            f'{what} needs about {needed_gb:.0f} GB of disk space, {place} has {free_gb:.1f} GB left. Free some, or '
            'put the environment on another disk (make install VENV=/other/disk/venv). To change the limit: '
            'VADLAB_MIN_DISK_GB=<number> make install'
        )


def check_disk_for_all(venv: Path) -> None:
    """Fail unless there is space for the environment and for the build of mmcv, which is inside it."""
    override = os.environ.get('VADLAB_MIN_DISK_GB')
    try:
        needed = float(override) if override else (DISK_GB_CUDA if has_nvidia_gpu() else DISK_GB_CPU) + DISK_GB_BUILD
    except ValueError as error:
        raise SetupError(f'VADLAB_MIN_DISK_GB must be a number, not {override!r}') from error
    check_disk(venv, needed, 'Setting up')


def check_compiler() -> None:
    """Fail unless a C++17 compiler works and finds Python's headers: mmcv's ops are compiled here."""
    compiler = os.environ.get('CXX') or 'c++'
    include = sysconfig.get_path('include')
    fix = (
        'Debian, Ubuntu: apt install g++ python3.11-dev; Fedora: dnf install gcc-c++ python3.11-devel; '
        'macOS: xcode-select --install'
    )
    if shutil.which(compiler.split()[0]) is None:
        raise SetupError(
            f'No C++ compiler: {compiler!r} is not on PATH, and mmcv (RoIAlign) has to be compiled. Install one '
            f'({fix}), or name one: CXX=/path/to/g++ make install'
        )
    if not Path(include, 'Python.h').is_file():
        raise SetupError(
            f'The C headers of {sys.executable} are missing (no Python.h in {include}), and mmcv (RoIAlign) has to be '
            f'compiled. Install them ({fix})'
        )
    program = '#include <Python.h>\n#include <optional>\nint main() { std::optional<int> x = 0; return *x; }\n'
    result = subprocess.run(
        [*compiler.split(), '-std=c++17', '-fsyntax-only', f'-I{include}', '-x', 'c++', '-'],
        input=program,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise SetupError(
            f'The C++ compiler {compiler!r} cannot compile a C++17 program with Python.h, which mmcv needs. Install a '
            f'newer one ({fix}), or name one: CXX=/path/to/g++ make install. It said:\n{result.stderr.strip()[-600:]}'
        )


# -------------------------------------------------------------------------------------------------------- the CUDA ops
def find_nvcc() -> tuple[Path, str] | None:
    """The CUDA toolkit's folder and its version (``'13.0'``), or None."""
    homes = [os.environ.get('CUDA_HOME'), os.environ.get('CUDA_PATH'), '/usr/local/cuda']
    candidates = [Path(home, 'bin', 'nvcc') for home in homes if home]
    on_path = shutil.which('nvcc')
    if on_path:
        candidates.insert(2 if homes[0] or homes[1] else 0, Path(on_path).resolve())
    for nvcc in candidates:
        if nvcc.is_file():
            output = subprocess.run([str(nvcc), '--version'], capture_output=True, text=True, check=False).stdout
            match = re.search(r'release (\d+\.\d+)', output)
            if match:
                return nvcc.parent.parent, match[1]
    return None


def mmcv_build_env(gpu: bool, torch_cuda: str | None, toolkit: tuple[Path, str] | None) -> tuple[dict[str, str], str]:
    """Build settings of mmcv's ops for this machine.

    Args:
        gpu: Whether torch can use a GPU.
        torch_cuda: CUDA version that torch was built with.
        toolkit: Result of :func:`find_nvcc`.

    Returns:
        Environment variables for the build, and a warning for the user (may be empty).
    """
    base = {'MMCV_WITH_OPS': '1'}
    if not gpu:
        return base, ''
    major = (torch_cuda or '').split('.')[0]
    if toolkit is not None and toolkit[1].split('.')[0] == major:
        return {**base, 'FORCE_CUDA': '1', 'CUDA_HOME': str(toolkit[0])}, ''
    found = f'nvcc is of CUDA {toolkit[1]}' if toolkit else 'there is no nvcc'
    # If no GPU is visible, mmcv's build script compiles the CPU ops and does not need nvcc.
    return {**base, 'CUDA_VISIBLE_DEVICES': ''}, (
        f'warning: torch sees a GPU and was built with CUDA {torch_cuda}, but {found}: mmcv gets its CPU ops only. On '
        'the GPU, models that pool regions then use RoIAlign in plain torch, and detectors of MMDetection do not run. '
        f'To change that, install the CUDA {major} toolkit, set CUDA_HOME, and run make install again'
    )


def compile_jobs() -> int:
    """Number of compilers that this machine can run in parallel."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    try:
        memory_gb = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9
    except (ValueError, OSError, AttributeError):
        return cores
    return max(1, min(cores, int(memory_gb / MEMORY_GB_A_COMPILER)))


def compile_env(folder: Path) -> dict[str, str]:
    """Settings of the compilation of mmcv's ops.

    Python's own compiler options include debug information, which takes half of the compile time; ``-g0`` disables it.
    ``CFLAGS`` replaces these options, so they are repeated: without ``-O3`` the ops would be slow.

    Args:
        folder: Folder of the build.
    """
    theirs = os.environ.get('CFLAGS')
    return {
        'TMPDIR': str(folder),
        'MAX_JOBS': os.environ.get('MAX_JOBS') or str(compile_jobs()),
        # The last option has priority, so a user's -g has an effect.
        'CFLAGS': f'-g0 {theirs}' if theirs else f'{sysconfig.get_config_var("CFLAGS") or "-O3"} -g0',
    }


def is_gcc(compiler: str) -> bool:
    """Whether the C++ compiler is GCC."""
    result = subprocess.run([*compiler.split(), '--version'], capture_output=True, text=True, check=False)
    return 'Free Software Foundation' in result.stdout


# ------------------------------------------------------------------------------------------------------------- running
def build_progress(folder: Path) -> str:
    """Progress of the compilation in ``folder``: ``'12 of 78 files compiled'``, or ``'preparing'``."""
    for plan in folder.rglob('build.ninja'):
        total = len(re.findall(r'^build .*: (?:compile|cuda_compile) ', plan.read_text(errors='replace'), re.MULTILINE))
        done = sum(1 for _ in plan.parent.rglob('*.o'))
        if total:
            return f'{min(done, total)} of {total} files compiled' + (', linking' if done >= total else '')
    return 'preparing'


def run_logged(command: list[str], log: Path, env: dict[str, str], build_folder: Path | None = None) -> int:
    """Run ``command`` with its output in ``log``, and show the elapsed time.

    On a terminal one line is updated, otherwise a line is printed every 30 seconds. vadlab/utils/progress.py draws with
    rich, which is not installed yet.
    """
    start = time.monotonic()
    next_report_s = 2.0 if sys.stdout.isatty() else REPORT_EVERY_S
    with log.open('w') as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=subprocess.STDOUT, env={**os.environ, **env}, cwd=ROOT
        )
        try:
            while True:
                try:
                    status = process.wait(timeout=1.0)
                    break
                except subprocess.TimeoutExpired:
                    elapsed = time.monotonic() - start
                if elapsed < next_report_s:
                    continue
                state = f'      {clock(elapsed)}' + (f'  {build_progress(build_folder)}' if build_folder else '')
                if sys.stdout.isatty():
                    print(f'\r\033[K{state}', end='', flush=True)
                else:
                    say(state)
                    next_report_s = elapsed + REPORT_EVERY_S
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if sys.stdout.isatty():
        print('\r\033[K', end='', flush=True)
    return status


class Installer:
    """Runs the unfinished steps.

    Args:
        venv: Folder of the virtual environment.
        torch_index: Address of the package index for torch; None for pip's default.
    """

    def __init__(self, venv: Path, torch_index: str | None = None) -> None:
        self.venv = venv
        self.state_dir = venv / '.vadlab'
        self.python = venv / ('Scripts/python.exe' if os.name == 'nt' else 'bin/python')
        self.torch_index = torch_index

    def steps(self) -> list[Step]:
        """All steps, in order; the third is mmcv."""
        build, mm = REQUIREMENTS / 'build.txt', REQUIREMENTS / 'mminstall.txt'
        rest = [REQUIREMENTS / f'{name}.txt' for name in ('runtime', 'audio', 'tests')]
        index = ['--index-url', self.torch_index] if self.torch_index else []
        return [
            Step('build', 'build tools', ['-U', '-r', str(build)], [build]),
            Step('torch', 'torch', [*index, 'torch']),
            Step('mmcv', 'mmcv, ops compiled from source', ['--no-build-isolation', 'onedl-mmcv'], [mm]),
            Step('mm', 'mmengine, mmdetection', ['--no-build-isolation', '-r', str(mm)], [mm], {'MMCV_WITH_OPS': '1'}),
            # Only its vocabulary file is used; its dependencies would install torchvision.
            Step('open_clip', "CLIP's vocabulary", ['--no-deps', 'open_clip_torch'], by_uv=True),
            Step(
                'rest',
                'runtime and test packages',
                [word for file in rest for word in ('-r', str(file))],
                rest,
                by_uv=True,
            ),
            # mmdetection installs two packages that both write the folder cv2. The headless one is last, so that
            # cv2 can be imported on a server without libGL.
            Step(
                'cv2',
                'OpenCV without a display',
                ['--no-deps', '--force-reinstall', 'opencv-python-headless'],
                by_uv=True,
            ),
            Step(
                'vadlab',
                'vadlab itself, editable',
                ['--no-deps', '--no-build-isolation', '-e', '.'],
                [ROOT / 'setup.py', ROOT / 'pyproject.toml'],
            ),
        ]

    def create_venv(self) -> None:
        """Create the virtual environment, unless a working one exists."""
        if (
            self.python.exists()
            and subprocess.run([str(self.python), '-m', 'pip', '--version'], capture_output=True).returncode == 0
        ):
            return
        if self.venv.exists() and any(self.venv.iterdir()) and not (self.venv / 'pyvenv.cfg').is_file():
            raise SetupError(
                f'{self.venv} exists and is not a virtual environment. Name another folder: make install VENV=...'
            )
        say(f'making {self.venv}')
        command = [sys.executable, '-m', 'venv', '--clear', str(self.venv)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            raise SetupError(
                f'{sys.executable} -m venv {self.venv} failed:\n{(result.stdout + result.stderr).strip()[-800:]}'
            )

    def probe(self) -> dict:
        """State of torch and mmcv in the environment."""
        result = subprocess.run([str(self.python), '-W', 'ignore', '-c', PROBE], capture_output=True, text=True)
        try:
            return json.loads(result.stdout.strip().splitlines()[-1])
        except (IndexError, ValueError):
            # An op library built for another torch may crash the process.
            error = result.stderr.strip()[-400:] or f'exit status {result.returncode}'
            return {'gpu': False, 'torch_cuda': None, 'mmcv': True, 'ops': False, 'ops_cuda': False, 'error': error}

    def done(self, step: Step) -> bool:
        """Whether ``step`` was finished with the same inputs."""
        stamp = self.state_dir / step.name
        return stamp.is_file() and stamp.read_text() == step.fingerprint()

    def pip(self, step: Step, extra: list[str] | None = None) -> None:
        """Run one step with uv or pip, and write its stamp."""
        log = self.state_dir / f'{step.name}.log'
        if not self.installed_by_uv(step, log):
            self.install_by_pip(step, log, extra or [])
        (self.state_dir / step.name).write_text(step.fingerprint())

    def installed_by_uv(self, step: Step, log: Path) -> bool:
        """Whether uv is there, is used for this step, and installed its packages."""
        uv = shutil.which('uv') if step.by_uv else None
        if uv is None:
            return False
        words = [uv, 'pip', 'install', '--python', str(self.python), '-c', str(CONSTRAINTS), *step.pip_args]
        if run_logged(words, log, step.env) == 0:
            return True
        said = log.read_text(errors='replace').strip().splitlines()
        say(f'      uv could not install it ({said[-1] if said else "no message"}); pip tries')
        return False

    def install_by_pip(self, step: Step, log: Path, extra: list[str]) -> None:
        """Install the packages of a step with pip; fail with the end of its log."""
        command = [str(self.python), '-m', 'pip', 'install', '--disable-pip-version-check', '-c', str(CONSTRAINTS)]
        env, build_folder = dict(step.env), None
        if step.name == 'mmcv':
            # The build is in a known folder, to count its object files while it runs.
            build_folder = self.state_dir / 'tmp'
            shutil.rmtree(build_folder, ignore_errors=True)
            build_folder.mkdir(parents=True)
            env.update(compile_env(build_folder))
            env['CFLAGS'] += f' {self.precompile_headers(build_folder, env["CFLAGS"])}'
        status = run_logged([*command, *step.pip_args, *extra], log, env, build_folder)
        if build_folder is not None:
            shutil.rmtree(build_folder, ignore_errors=True)
        if status != 0:
            tail = '\n'.join(log.read_text(errors='replace').splitlines()[-30:])
            full = shutil.disk_usage(self.venv).free < 100e6
            raise SetupError(
                f'installing {step.title} failed; its last lines:\n{tail}\n\nThe whole log: {log}. '
                + (f'The disk of {self.venv} is full: free some space. ' if full else '')
                + 'What is installed already stays; make install continues there'
            )

    def precompile_headers(self, folder: Path, cflags: str) -> str:
        """Compile torch's headers once, instead of in each of mmcv's files, where they take most of the time.

        GCC uses the result for files with the same options, and else reads the headers as usual.

        Args:
            folder: Folder of the build.
            cflags: Compiler options of mmcv's files.

        Returns:
            A further compiler option; empty if the compiler is another one, or the headers do not compile.
        """
        compiler = os.environ.get('CXX') or 'c++'
        if not is_gcc(compiler):
            return ''
        code = 'from torch.utils.cpp_extension import include_paths; print(*include_paths(), sep="\\n")'
        result = subprocess.run([str(self.python), '-W', 'ignore', '-c', code], capture_output=True, text=True)
        paths = [f'-I{path}' for path in result.stdout.splitlines() if path]
        header = folder / 'torch_headers.hpp'
        header.write_text('#include <torch/types.h>\n#include <vector>\n')
        options = ['-pthread', *shlex.split(cflags), '-fPIC', '-std=c++17', *paths]
        command = [*compiler.split(), *options, '-x', 'c++-header', str(header), '-o', f'{header}.gch']
        log = self.state_dir / 'headers.log'
        if run_logged(command, log, {}):
            say(f"      torch's headers were not compiled in advance, so this takes longer; why: {log}")
            return ''
        return f'-pthread -Winvalid-pch -include {shlex.quote(str(header))}'  # the log tells whether it was used

    def install_mmcv(self, step: Step, state: dict, label: str) -> None:
        """Compile mmcv's ops, unless ops for this machine are already installed."""
        env, warning = mmcv_build_env(state['gpu'], state['torch_cuda'], find_nvcc())
        if warning:
            say(warning)
        wants_cuda = 'FORCE_CUDA' in env

        def fits(found: dict) -> bool:
            return found['ops'] and (found['ops_cuda'] or not wants_cuda)

        step.env = env
        if fits(state):
            if not self.done(step):
                say(label)
                self.pip(step)
            return
        say(label)
        check_compiler()
        files = 'about 80 C++ files' + (' and as many CUDA ones' if wants_cuda else '')
        say(f"      compiling {files} (the former take about 3 minutes on 2 cores with GCC), unless pip's cache has it")
        self.pip(step, ['--force-reinstall', '--no-deps'] if state['mmcv'] else [])
        if fits(self.probe()):
            return
        # pip caches a built wheel and reuses it without a check of ops, CUDA or torch's version.
        say("      the wheel in pip's cache has no fitting ops: building a new one")
        subprocess.run([str(self.python), '-m', 'pip', 'cache', 'remove', 'onedl_mmcv'], capture_output=True)
        self.pip(step, ['--force-reinstall', '--no-deps', '--no-binary', 'onedl-mmcv'])
        state = self.probe()
        if not fits(state):
            raise SetupError(
                f'mmcv was built, but {"its CUDA ops" if state["ops"] else "mmcv.ops"} cannot be used: '
                f'{state["error"] or "compiled without CUDA"}. The whole log: {self.state_dir / "mmcv.log"}'
            )

    def run(self) -> None:
        """Run all unfinished steps."""
        steps = self.steps()
        fresh = not self.python.exists() or not all(self.done(s) for s in steps if s.name != 'mmcv')
        if fresh:
            check_disk_for_all(self.venv)
        state = self.probe() if self.python.exists() else {'ops': False}
        if not state['ops']:
            check_compiler()
        self.create_venv()
        self.state_dir.mkdir(exist_ok=True)
        for number, step in enumerate(steps, 1):
            if step.name != 'mmcv' and self.done(step):
                continue
            label = f'[{number}/{len(steps)}] {step.title}'
            if step.name == 'mmcv':
                self.install_mmcv(step, self.probe() if fresh else state, label)
            else:
                say(label)
                self.pip(step)
        say(f'environment ready: {self.venv}')


def main() -> int:
    """Parse the command line, run the checks, and install."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--venv', type=Path, default=ROOT / '.venv', help='folder of the virtual environment')
    parser.add_argument(
        '--check-only', action='store_true', help='check Python, compiler and disk space, install nothing'
    )
    args = parser.parse_args()
    venv = args.venv if args.venv.is_absolute() else ROOT / args.venv
    try:
        check_python()
        if args.check_only:
            check_disk_for_all(venv)
            check_compiler()
            say('Python, compiler and disk space are fine')
            return 0
        Installer(venv, os.environ.get('TORCH_INDEX') or None).run()
    except SetupError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\ninterrupted; make install continues where it stopped', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
