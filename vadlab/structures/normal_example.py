"""The normal example that a method compares an object with."""

import json
from dataclasses import asdict, dataclass

from vadlab.utils.errors import DataError


@dataclass(frozen=True)
class NormalExample:
    """An object in a training clip.

    Attributes:
        clip (str): Name of the clip.
        path (str): The video or folder of frames; empty if it is not known.
        frame (int): Frame, 0-based.
        box (tuple[float, ...] | None): x1, y1, x2, y2 in pixels of the video, half-open; None if it is not known.
    """

    clip: str
    path: str
    frame: int
    box: tuple[float, ...] | None

    def text(self) -> str:
        """The example in words."""
        place = '' if self.box is None else f', box {" ".join(f"{value:.0f}" for value in self.box)}'
        return f'clip {self.clip}, frame {self.frame}{place}'

    def to_json(self) -> str:
        """The example as a line of JSON; undone by :meth:`from_json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> 'NormalExample':
        """Read what :meth:`to_json` wrote.

        Raises:
            DataError: It is something else.
        """
        try:
            content = json.loads(text)
            box = content['box']
            if box is not None:
                box = tuple(float(value) for value in box)
                if len(box) != 4:
                    raise ValueError('a box has four numbers')
            return cls(str(content['clip']), str(content['path']), int(content['frame']), box)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise DataError(f'{text[:60]!r} is no normal example: {error}') from error
