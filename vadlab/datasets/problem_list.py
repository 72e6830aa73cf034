"""Problems of a data set, collected into one message."""

from ..utils.errors import DataError, MissingFileError

_SHOWN = 3  # names per kind of problem


class ProblemList:
    """Collects the problems of all videos, to report them in one error.

    Args:
        asker (str): Name of the reporter, for the message.
    """

    def __init__(self, asker: str) -> None:
        self.asker = asker
        self._found: dict[str, list[str]] = {}
        self._is_missing = False

    def note(self, what: str, name: str, missing: bool = False) -> None:
        """Add a problem.

        Args:
            what (str): Its kind, as a phrase after a number, such as ``videos have no label``.
            name (str): The video or file, with details.
            missing (bool): Whether the problem is a missing file.
        """
        self._found.setdefault(what, []).append(name)
        self._is_missing |= missing

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def lines(self) -> list[str]:
        """One line per kind: the number of cases, and the first of them."""
        return [
            f'{len(names)} {what} ({"first: " if len(names) > 1 else ""}{", ".join(names[:_SHOWN])}'
            f'{", ..." if len(names) > _SHOWN else ""})'
            for what, names in self._found.items()
        ]

    def raise_if_any(self, where: str, advice: str) -> None:
        """Raise an error with all problems, if there are any.

        Raises:
            MissingFileError: Files are missing, possibly besides other problems.
            DataError: There are only other problems.
        """
        if self:
            error = MissingFileError if self._is_missing else DataError
            raise error(f'{self.asker}: {where}: {"; ".join(self.lines)}. {advice}')
