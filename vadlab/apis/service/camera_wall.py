"""The cameras of a run of ``tools/watch.py``, for the wall page: read from its folder, never written."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vadlab.structures.camera_state import (
    CLIPS_FOLDER,
    PICTURE_FILE,
    CameraEvent,
    CameraState,
    camera_name_fault,
    cameras_in,
    load_curve,
    load_events,
)
from vadlab.utils.errors import DataError, MissingFileError

from .uploads import RefusedError

_MOST_EVENTS = 20
_CLIP = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}\.mp4')


class CameraWall:
    """States of cameras as JSON, and their pictures and clips.

    Args:
        folder (Path | None): Folder of the run; it may appear later. None without cameras.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def cameras(self) -> list[dict[str, Any]]:
        """All cameras, in natural order of their names; one that cannot be read has a ``problem``."""
        if self.folder is None:
            return []
        try:
            names = cameras_in(self.folder)
        except MissingFileError:
            return []
        return [self._camera(name) for name in names]

    def _camera(self, name: str) -> dict[str, Any]:
        assert self.folder is not None
        folder = self.folder / name
        try:
            found: dict[str, Any] = asdict(CameraState.load(folder))
        except (DataError, MissingFileError) as error:
            return {'name': name, 'problem': str(error), 'curve': [], 'last_events': []}
        del found['unwritten']  # for the next run
        problem = ''
        try:
            curve = load_curve(folder)
        except MissingFileError:
            curve = []
        except DataError as error:
            curve, problem = [], str(error)
        try:
            events, _ = load_events(folder, _MOST_EVENTS)
        except DataError as error:
            events, problem = [], str(error)
        picture = folder / PICTURE_FILE
        return {
            **found,
            'name': name,
            'problem': problem,
            'curve': curve,
            'last_events': [self._event(name, event) for event in reversed(events)],
            'picture': f'/api/cameras/{name}/{PICTURE_FILE}' if picture.is_file() else None,
        }

    def _event(self, name: str, event: CameraEvent) -> dict[str, Any]:
        assert self.folder is not None
        shown = asdict(event)
        shown['clip'] = None
        if event.clip is not None and (self.folder / name / event.clip).is_file():
            shown['clip'] = f'/api/cameras/{name}/{event.clip}'
        return shown

    def file(self, name: str, part: str) -> tuple[Path, str]:
        """Path and media type of a picture or clip.

        Args:
            name (str): Name of the camera.
            part (str): ``latest.jpg`` or ``clips/FILE.mp4``.

        Raises:
            RefusedError: There are no cameras, or it is another file.
        """
        folder, _, clip = part.rpartition('/')
        if self.folder is not None and not camera_name_fault(name):
            if part == PICTURE_FILE:
                return self.folder / name / PICTURE_FILE, 'image/jpeg'
            if folder == CLIPS_FOLDER and _CLIP.fullmatch(clip):
                return self.folder / name / CLIPS_FOLDER / clip, 'video/mp4'
        raise RefusedError(404, 'unknown', 'There is no such picture or clip.')
