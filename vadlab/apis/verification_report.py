"""The findings of a verification."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from vadlab.utils.errors import VADLabError
from vadlab.utils.json_file import write_json

LEVELS = ('pass', 'warning', 'failure')


@dataclass(frozen=True)
class Finding:
    """One row of the table.

    Attributes:
        level (str): ``pass``, ``warning`` (the run skips or fixes it) or ``failure``.
        check (str): Name of the check, such as ``videos``.
        message (str): The result, or what is wrong and where.
    """

    level: str
    check: str
    message: str


class VerificationReport:
    """A list of findings, in order.

    Args:
        listener (Callable | None): Called with each new finding.
    """

    def __init__(self, listener: Callable[[Finding], None] | None = None) -> None:
        self.findings: list[Finding] = []
        self._listener = listener

    def add(self, level: str, check: str, message: str) -> None:
        """Add a finding."""
        finding = Finding(level, check, message)
        self.findings.append(finding)
        if self._listener:
            self._listener(finding)

    def passed(self, check: str, message: str) -> None:
        """Add a pass."""
        self.add('pass', check, message)

    def warn(self, check: str, message: str) -> None:
        """Add a warning: something that a run fixes or tolerates."""
        self.add('warning', check, message)

    def fail(self, check: str, message: str) -> None:
        """Add a failure: something that makes a run meaningless."""
        self.add('failure', check, message)

    @contextmanager
    def failing(self, check: str) -> Iterator[Callable[[], bool]]:
        """Context that converts a user error to a failure of ``check``; yields a function that returns the success."""
        state = {'ok': False}
        try:
            yield lambda: state['ok']
            state['ok'] = True
        except VADLabError as error:
            self.fail(check, str(error))

    def count(self, level: str) -> int:
        """Number of findings of a level."""
        return Counter(f.level for f in self.findings)[level]

    @property
    def is_ok(self) -> bool:
        """Whether there is no failure."""
        return not self.count('failure')

    def write_json(self, path: str | Path) -> None:
        """Write the findings and their counts."""
        report = {
            'ok': self.is_ok,
            'counts': {level: self.count(level) for level in LEVELS},
            'findings': [asdict(f) for f in self.findings],
        }
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, report)
