"""Everything that is wrong with a data set, in one message."""

from ..utils.errors import DataError, MissingFileError

_SHOWN = 3  # names beside each kind of problem


class ProblemList:
    """Collects what is wrong over all videos, so that one error tells all of it.

    Args:
        asker (str): Who reports, for the message.
    """

    def __init__(self, asker: str) -> None:
        self.asker = asker
        self._found: dict[str, list[str]] = {}
        self._is_missing = False

    def note(self, what: str, name: str, missing: bool = False) -> None:
        """Note a case.

        Args:
            what (str): The kind, to be read after a number, such as ``videos have no label``.
            name (str): Which one, with what is particular to it.
            missing (bool): Whether a file is not there.
        """
        self._found.setdefault(what, []).append(name)
        self._is_missing |= missing

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def lines(self) -> list[str]:
        """A line for each kind: how many, and the first of them."""
        return [
            f'{len(names)} {what} ({"first: " if len(names) > 1 else ""}{", ".join(names[:_SHOWN])}'
            f'{", ..." if len(names) > _SHOWN else ""})'
            for what, names in self._found.items()
        ]

    def raise_if_any(self, where: str, advice: str) -> None:
        """End with all that was noted.

        Raises:
            MissingFileError: Files are missing, whatever else is wrong.
            DataError: Something else is wrong.
        """
        if self:
            error = MissingFileError if self._is_missing else DataError
            raise error(f'{self.asker}: {where}: {"; ".join(self.lines)}. {advice}')
