"""Compare contestants on a machine that may be busy.

Each contestant runs in its own process, so its peak memory can be measured. The contestants of one comparison take
turns (reference, A, B, reference, A, B, ...), so other load affects all of them equally. Ratios are computed within
each turn, then their median is taken.
"""

import functools
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

MIB = 2**20
TOOLS = Path(__file__).resolve().parents[1]


@dataclass
class Spread:
    """Median, least and greatest of several runs."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> 'Spread':
        """The spread of ``values``, at least one."""
        return cls(statistics.median(values), min(values), max(values))

    def __format__(self, spec: str) -> str:
        if self.min == self.max:
            return format(self.median, spec)
        return f'{self.median:{spec}} ({self.min:{spec}}-{self.max:{spec}})'


@dataclass
class Row:
    """Results of one contestant in one case, as printed and as written to the JSON file.

    Attributes:
        section: Section of the benchmark.
        case: The task.
        name: The contestant.
        runs: Number of measured runs; 0 if it failed, see ``note``.
        wall_s: Wall time of one run in seconds.
        cpu_s: CPU time of one run in seconds, all threads and child processes together.
        ratio: Wall time divided by that of the reference in the same turn. None without a reference.
        cpu_ratio: The same for CPU time; it varies less on a busy machine.
        rate: Units of work per second of wall time; ``rate_unit`` is the unit.
        peak_mib: Peak resident memory of the process, MiB, without interpreter and libraries.
        activation_mib: Peak memory without weights, gradients and optimizer state, MiB; training steps only.
        details: Further results of the contestant.
    """

    section: str
    case: str
    name: str
    runs: int = 0
    wall_s: Spread | None = None
    cpu_s: Spread | None = None
    ratio: Spread | None = None
    cpu_ratio: Spread | None = None
    rate: Spread | None = None
    rate_unit: str = ''
    peak_mib: float | None = None
    activation_mib: float | None = None
    note: str = ''
    details: dict[str, Any] = field(default_factory=dict)


@dataclass
class Target:
    """A target value and the measured value. ``met`` is None if it could not be measured."""

    name: str
    wanted: str
    found: str
    met: bool | None


@dataclass
class Report:
    """All results of one section. ``errors`` are wrong results, not slow ones; they fail the benchmark."""

    rows: list[Row] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def extend(self, other: 'Report') -> None:
        """Add the results of another section."""
        self.rows += other.rows
        self.targets += other.targets
        self.errors += other.errors

    def as_dict(self) -> dict[str, Any]:
        """Plain dicts and lists, for JSON."""
        return asdict(self)


def limit(name: str, wanted: float, found: float | None, at_least: bool = False) -> Target:
    """The target that ``found`` is at most (or at least) ``wanted``."""
    sign = '>=' if at_least else '<='
    if found is None:
        return Target(name, f'{sign} {wanted:g}', 'not measured', None)
    return Target(name, f'{sign} {wanted:g}', f'{found:.3g}', found >= wanted if at_least else found <= wanted)


def resident_bytes(peak: bool = False) -> int:
    """Resident memory of this process, now or at its peak, in bytes (Linux; elsewhere the peak for both)."""
    try:
        status = Path('/proc/self/status').read_text()
    except OSError:
        import resource

        unit = 1 if sys.platform == 'darwin' else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    key = 'VmHWM:' if peak else 'VmRSS:'
    return int(status.split(key)[1].split()[0]) * 1024


def forget_peak() -> None:
    """Reset the peak of resident memory, if the system supports it."""
    try:
        Path('/proc/self/clear_refs').write_text('5')
    except OSError:
        pass


class ContestantError(RuntimeError):
    """A contestant raised, died or did not answer in time."""


class Contestant:
    """One job in a new process, which runs on command.

    Args:
        name: Name in the table.
        job: ``module:Class`` under ``benchmarks``. The class is built in the process from ``options``. Its ``run()`` is
            timed, and may return a dict of details. ``finish()``, if it exists, is called at the end and may return
            further details.
        options: Keyword arguments of the class, JSON values.
        threads: OpenMP threads; None leaves the machine's default.
        pin: Bind the process to one core.
        timeout_s: Maximum time for one answer in seconds.
        env: Further environment variables; None removes one.
    """

    def __init__(
        self,
        name: str,
        job: str,
        options: dict[str, Any] | None = None,
        threads: int | None = None,
        pin: bool = False,
        timeout_s: float = 1800.0,
        env: dict[str, str | None] | None = None,
    ) -> None:
        self.name = name
        self.job = job
        self.options = options or {}
        self.timeout_s = timeout_s
        variables: dict[str, str | None] = dict(os.environ)
        variables['PYTHONPATH'] = os.pathsep.join([str(TOOLS.parent), str(TOOLS)])
        if threads is not None:
            variables.update(
                {key: str(threads) for key in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS')}
            )
        variables.update(env or {})
        self._errors = tempfile.TemporaryFile('w+', errors='replace')
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'benchmarks.contestant', json.dumps(dict(job=job, options=self.options, pin=pin))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={name: value for name, value in variables.items() if value is not None},
        )
        self.runs: list[dict[str, Any]] = []
        try:
            self.ready = self._answer()
        except ContestantError:
            self.close()
            raise

    def _answer(self) -> dict[str, Any]:
        from threading import Timer

        process = self._process
        assert process.stdout is not None
        timer = Timer(self.timeout_s, process.kill)
        timer.start()
        try:
            line = process.stdout.readline()
        finally:
            late = timer.finished.is_set()
            timer.cancel()
        if not line:
            process.wait()
            self._errors.seek(0)
            said = [text for text in self._errors.read().splitlines() if text.strip()]
            if late:
                raise ContestantError(f'no answer within {self.timeout_s:g} s')
            raise ContestantError(said[-1].strip() if said else f'died with status {process.returncode}')
        return json.loads(line)

    def _tell(self, order: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(order + '\n')
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the process died; reading its answer says why
        return self._answer()

    def run(self, record: bool = True) -> dict[str, Any]:
        """Run once; returns ``wall_s``, ``cpu_s``, ``details``. ``record=False`` is for warm-up."""
        answer = self._tell('run')
        if record:
            self.runs.append(answer)
        return answer

    def finish(self) -> dict[str, Any]:
        """End the process; returns ``peak_bytes``, ``baseline_bytes`` and the last ``details`` of the job."""
        answer = self._tell('finish')
        self.close()
        return answer

    def close(self) -> None:
        """Kill the process."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass


@dataclass
class Entry:
    """Arguments of a :class:`Contestant`, and its units of work."""

    name: str
    job: str
    options: dict[str, Any] = field(default_factory=dict)
    units: float = 1.0
    threads: int | None = None
    pin: bool = False
    timeout_s: float = 1800.0
    env: dict[str, str | None] = field(default_factory=dict)


def compete(
    section: str,
    case: str,
    entries: Sequence[Entry],
    runs: int,
    reference: str | None = None,
    rate_unit: str = '',
    warm_up: int = 1,
    on_first: Callable[[str, dict[str, Any]], None] | None = None,
) -> list[Row]:
    """Run contestants in turns, and return one row per contestant, in order.

    Args:
        section: Section of the rows.
        case: Case of the rows.
        entries: The contestants. A contestant that fails is skipped, with a note, unless it is the reference.
        runs: Measured turns.
        reference: Name of the reference entry, for ratios of wall time; None for no ratios.
        rate_unit: Unit of ``Entry.units``; empty for no rates.
        warm_up: Turns before the measured ones.
        on_first: Called with the name and the answer of each contestant's first run, to compare results.

    Raises:
        ContestantError: The reference failed.
    """
    rows = {entry.name: Row(section, case, entry.name) for entry in entries}
    alive: dict[str, Contestant] = {}

    def attempt(name: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except ContestantError as error:
            if name == reference:
                raise ContestantError(f'{section}, {case}: the reference {name} failed: {error}') from error
            rows[name].note = str(error)[:300]
            gone = alive.pop(name, None)
            if gone is not None:
                gone.close()
            return None

    def start(entry: Entry) -> Contestant:
        return Contestant(entry.name, entry.job, entry.options, entry.threads, entry.pin, entry.timeout_s, entry.env)

    try:
        for entry in entries:
            contestant = attempt(entry.name, functools.partial(start, entry))
            if contestant is not None:
                alive[entry.name] = contestant
        for turn in range(warm_up + runs):
            for name in list(alive):
                answer = attempt(name, functools.partial(alive[name].run, record=turn >= warm_up))
                if answer is not None and turn == 0 and on_first is not None:
                    on_first(name, answer['details'])
        measured = {name: contestant.runs for name, contestant in alive.items()}
        for entry in entries:
            if entry.name in alive:
                last = attempt(entry.name, alive[entry.name].finish)
                if last is not None:
                    _fill(rows[entry.name], entry, measured, last, reference, rate_unit)
    finally:
        for contestant in alive.values():
            contestant.close()
    return list(rows.values())


def _fill(
    row: Row,
    entry: Entry,
    measured: dict[str, list[dict[str, Any]]],
    last: dict[str, Any],
    reference: str | None,
    rate_unit: str,
) -> None:
    runs = measured[entry.name]
    row.runs = len(runs)
    row.wall_s = Spread.of([run['wall_s'] for run in runs])
    row.cpu_s = Spread.of([run['cpu_s'] for run in runs])
    if reference is not None:
        pairs = list(zip(runs, measured[reference], strict=True))
        row.ratio = Spread.of([mine['wall_s'] / its['wall_s'] for mine, its in pairs])
        if all(its['cpu_s'] > 0 for _, its in pairs):
            row.cpu_ratio = Spread.of([mine['cpu_s'] / its['cpu_s'] for mine, its in pairs])
    if rate_unit:
        row.rate = Spread.of([entry.units / run['wall_s'] for run in runs])
        row.rate_unit = rate_unit
    row.peak_mib = (last['peak_bytes'] - last['baseline_bytes']) / MIB
    details = {**runs[-1]['details'], **last['details']}
    if 'state_bytes' in details:
        row.activation_mib = row.peak_mib - details['state_bytes'] / MIB
    row.details = {key: value for key, value in details.items() if isinstance(value, (int, float, str, bool))}


def find_job(name: str) -> Any:
    """The class of ``module:Class``."""
    module, _, attribute = name.partition(':')
    return getattr(importlib.import_module(f'benchmarks.{module}'), attribute)
