"""Finding videos and feature files by name, independently of the paths in annotations."""

import os
from pathlib import PurePosixPath

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.natural_order import natural_key, natural_sorted
from vadlab.utils.run_log import log

from ..video_names import VIDEO_ENDINGS, path_parts, video_id_of

_SCANS: dict[str, 'PathIndex'] = {}


class PathIndex:
    """Index by name of all video files, or files of another kind, below a folder.

    An index of videos also has folders of frames: folders with at least two images and no subfolder. A video file of
    the same name comes first.

    Args:
        root: The folder; links are followed.
        suffixes: File extensions to index, in lower case.

    Raises:
        MissingFileError: There is no such folder, or it cannot be read.
    """

    def __init__(self, root: str | os.PathLike[str], suffixes: frozenset[str] = frozenset(VIDEO_ENDINGS)) -> None:
        self.root = os.path.abspath(root)
        self.suffixes = suffixes
        if not os.path.isdir(self.root):
            raise MissingFileError(f'data_root: there is no folder {os.fspath(root)} (looked at {self.root})')
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        self._frame_folders: dict[str, list[str]] = {}
        self.n_files = 0
        self._scan()

    @classmethod
    def of(cls, root: str | os.PathLike[str]) -> 'PathIndex':
        """The index of a folder, scanned once in this process."""
        key = os.path.abspath(root)
        if key not in _SCANS:
            _SCANS[key] = cls(key)
        return _SCANS[key]

    def _scan(self) -> None:
        visited = set()
        for folder, subfolders, names in os.walk(self.root, onerror=self._leave_out, followlinks=True):
            real = os.path.realpath(folder)
            if real in visited:  # a link to a parent folder
                subfolders.clear()
                continue
            visited.add(real)
            subfolders.sort(key=natural_key)
            if self.suffixes == frozenset(VIDEO_ENDINGS) and not subfolders and _has_frames(names):
                self._frame_folders.setdefault(os.path.basename(folder), []).append(folder)
            for name in natural_sorted(names):
                last = path_parts(name)[-1] if '\\' in name else name
                stem, suffix = os.path.splitext(last)
                if suffix.lower() in self.suffixes:
                    path = os.path.join(folder, name)
                    self._by_name.setdefault(last, []).append(path)
                    self._by_stem.setdefault(stem, []).append(path)
                    self.n_files += 1

    def _leave_out(self, error: OSError) -> None:
        if error.filename == self.root:
            raise MissingFileError(f'data_root: the folder {self.root} cannot be read: {error.strerror}') from error
        log(f'The folder {error.filename} is left out: {error.strerror}')

    @property
    def paths(self) -> list[str]:
        """Absolute paths of all files, folder by folder, in natural order."""
        return [path for paths in self._by_name.values() for path in paths]

    def find(self, name: str) -> list[str]:
        """Files that match a name: one, none or several.

        Args:
            name: A path from an annotation, with or without folders and extension. A file at exactly this path wins;
                otherwise the file name decides, and among equal names the folders that agree with ``name``. A
                backslash separates folders, in ``name`` and also in names of files.
        """
        parts = path_parts(name)
        exact = os.path.join(self.root, name)
        if parts and exact in self._by_name.get(parts[-1], ()):
            return [exact]
        if os.path.splitext(name)[1].lower() in self.suffixes and os.path.isfile(exact):
            return [os.path.abspath(exact)]
        found = self._by_name.get(parts[-1]) or self._by_stem.get(parts[-1], []) if parts else []
        if parts and not found:
            found = self._frame_folders.get(parts[-1]) or self._frame_folders.get(video_id_of(parts[-1]), [])
        if len(parts) == 1:
            found = [path for path in found if '\\' not in os.path.basename(path)] or found
        if len(found) < 2:
            return list(found)

        def agreement(path: str) -> int:
            folders = zip(reversed(path_parts(path)[:-1]), reversed(parts[:-1]), strict=False)
            return next((i for i, (a, b) in enumerate(folders) if a != b), min(len(path_parts(path)), len(parts)) - 1)

        best = max(map(agreement, found))
        return [path for path in found if agreement(path) == best]

    def resolve(self, names: list[str], asker: str = 'PathIndex') -> list[str]:
        """Absolute paths of all names.

        Args:
            names: Names, as for :meth:`find`.
            asker: Name of the caller, for the message.

        Raises:
            MissingFileError: Names have no file; all are in one message, with the ambiguous ones if there are any.
            DataError: Names have several files.
        """
        found = [self.find(name) for name in names]
        missing = [name for name, paths in zip(names, found, strict=True) if not paths]
        ambiguous = [(name, paths) for name, paths in zip(names, found, strict=True) if len(paths) > 1]
        messages = []
        if missing:
            shown = ', '.join(PurePosixPath(name.replace('\\', '/')).name for name in missing[:10])
            more = ', ...' if len(missing) > 10 else ''
            messages.append(
                f'{len(missing)} of {len(names)} videos not found under {self.root} '
                f'({"first: " if len(missing) > 1 else ""}{shown}{more}; {self.n_files} video files searched by name)'
            )
        if ambiguous:
            shown = '; '.join(
                f'{name}: {", ".join(os.path.relpath(p, self.root) for p in paths[:4])}'
                for name, paths in ambiguous[:5]
            )
            messages.append(
                f'{len(ambiguous)} of {len(names)} video names are ambiguous under {self.root} ({shown}'
                f'{"; ..." if len(ambiguous) > 5 else ""}); remove the copies, or give f_path with its folders'
            )
        if messages:
            error = MissingFileError if missing else DataError
            raise error(f'{asker}: {". Also, ".join(messages)}. Check data_root, or run: python tools/verify.py CONFIG')
        return [paths[0] for paths in found]


def _has_frames(names: list[str]) -> bool:
    from ..video.image_reader import IMAGE_ENDINGS  # here, since it loads OpenCV

    images = (name for name in names if os.path.splitext(name)[1].lower() in IMAGE_ENDINGS and name[0] != '.')
    return sum(1 for _ in images) > 1
