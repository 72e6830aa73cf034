"""Questions to a model: text files with placeholders."""

import re
from collections.abc import Sequence

from vadlab.utils.config import config_path
from vadlab.utils.errors import DataError
from vadlab.utils.suggest import nearest
from vadlab.utils.text_file import read_text

_PLACEHOLDER = re.compile(r'\{([a-z_]+)\}')
_MOST_CHARACTERS = 20_000


class QuestionFile:
    """A question with placeholders such as ``{definition}``.

    Lines that begin with ``#`` are comments. Braces around anything but a lower-case word are part of the text, so a
    question may show JSON.

    Args:
        path (str): The file; ``vadlab::questions/plain.txt`` is in VADLab's own ``configs/``.
        required (Sequence[str]): Placeholders that it must have.
        allowed (Sequence[str]): Further placeholders that it may have.

    Raises:
        MissingFileError: There is no such file.
        DataError: It is empty, too long, has no required placeholder, or has an unknown one.
    """

    def __init__(self, path: str, required: Sequence[str] = (), allowed: Sequence[str] = ()) -> None:
        self.path = config_path(path)
        lines = [line for line in read_text(self.path).splitlines() if not line.startswith('#')]
        self.text = '\n'.join(lines).strip()
        if not self.text:
            raise DataError(f'{self.path} has no question')
        if len(self.text) > _MOST_CHARACTERS:
            raise DataError(
                f'{self.path} has {len(self.text):,} characters; a question has at most {_MOST_CHARACTERS:,}'
            )
        found = _PLACEHOLDER.findall(self.text)
        known = [*required, *allowed]
        for name in found:
            if name not in known:
                raise DataError(f'{self.path}: there is no placeholder {{{name}}}. {nearest(name, known)}')
        missing = [name for name in required if name not in found]
        if missing:
            raise DataError(
                f'{self.path} has no placeholder {{{missing[0]}}}. Write {{{missing[0]}}} where its text belongs'
            )
        self.placeholders = tuple(dict.fromkeys(found))

    def fill(self, **texts: str) -> str:
        """The question with texts for its placeholders; texts of other names are not used."""
        return _PLACEHOLDER.sub(lambda match: texts[match[1]], self.text)
