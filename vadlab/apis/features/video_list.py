import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from vadlab.datasets.formats.feature_lists import parse_list
from vadlab.datasets.video.frame_folder import is_frame
from vadlab.datasets.video_names import VIDEO_ENDINGS
from vadlab.utils.av_input import is_written_here
from vadlab.utils.errors import ConfigError, DataError, MissingFileError, check_names
from vadlab.utils.folder_content import walk
from vadlab.utils.natural_order import natural_sorted
from vadlab.utils.required_files import no_file_advice
from vadlab.utils.run_log import log
from vadlab.utils.text_file import read_lines
from vadlab.visualization.report.file_names import OVERLAY_ENDING, REPORT_FILE

_LONGEST_WAIT = timedelta(days=30)  # shards may differ by hours


@dataclass(frozen=True)
class VideoItem:
    """A video, and the name of its features.

    Attributes:
        path (str): The file.
        name (str): Path below the given folder, with ``/`` and without file extension: ``Abuse/Abuse001_x264``.
        size (int): Size in bytes.
    """

    path: str
    name: str
    size: int


def find_videos(
    sources: Sequence[str | os.PathLike], root: str | os.PathLike | None = None, keep_ending: bool = False
) -> list[VideoItem]:
    """Videos from files, folders (searched to any depth) and ``.txt`` lists (one path per line).

    In a folder without video files, each subfolder of images is a video, with frames in natural order of their names.
    In a folder with video files, folders of images are left out with a warning: they are often previews. Reports and
    overlay videos that VADLab wrote into a folder are left out, too.
    Folders ``NAME_gt`` are skipped, since they contain masks.

    Args:
        sources (Sequence): Files, folders, lists.
        root (str | None): Names are paths below this folder. By default, names of files in a given folder are paths
            below that folder, and the name of a given file is its file name.
        keep_ending (bool): Names keep the file's ending.

    Returns:
        list[VideoItem]: Videos sorted by name, each file once.

    Raises:
        MissingFileError: A given path does not exist.
        DataError: Two videos have the same name, or there is no video.
    """
    found: dict[str, str] = {}
    for source in map(Path, sources):
        if source.is_dir():
            files_here: dict[str, str] = {}
            made_here: list[str] = []
            for folder, subfolders, files in _without_reports(source, made_here):
                subfolders[:] = natural_sorted(s for s in subfolders if not s.startswith('.'))
                for path in (Path(folder) / file for file in files):
                    if path.suffix.lower() not in VIDEO_ENDINGS or path.name.startswith('.'):
                        continue
                    if path.name.endswith(OVERLAY_ENDING) and is_written_here(path):
                        made_here.append(str(path))
                    else:
                        files_here[str(path)] = _name(path, Path(root) if root else source, keep_ending)
            if made_here:
                log(
                    f'{source} has reports and overlay videos of earlier runs: {len(made_here)} are left out (first: '
                    f'{min(made_here)})'
                )
            frames_here = _frame_folders(source, root)
            if files_here and frames_here:
                log(
                    f'{source} has videos: {len(frames_here)} folders of images in it are left out (first: '
                    f'{min(frames_here)}). Name a folder of frames itself to use it'
                )
            for video, name in (files_here or frames_here).items():
                found.setdefault(video, name)
        elif source.suffix == '.txt' and source.is_file():
            base = Path(root) if root else source.parent
            for path in listed_paths(source, base):
                _must_exist(path, f'named in {source}')
                found.setdefault(str(path), _name(path, base, keep_ending))
        else:
            _must_exist(source, 'named on the command line')
            found.setdefault(str(source), _name(source, Path(root) if root else source.parent, keep_ending))
    by_name = defaultdict(set)
    for file, name in found.items():
        by_name[name].add(os.path.realpath(file))
    double = {name: sorted(paths) for name, paths in by_name.items() if len(paths) > 1}
    if double:
        name, paths = next(iter(double.items()))
        raise DataError(
            f'{len(double)} names stand for more than one video (first: {name}: {", ".join(paths)}). Extract them into '
            'folders of their own, or name a --root above them.'
        )
    if not found:
        raise DataError(
            f'No videos under {", ".join(map(str, sources))}. Known endings: {" ".join(sorted(VIDEO_ENDINGS))}'
        )
    check_names(found, 'videos')
    items = {name: VideoItem(file, name, size_of(file)) for file, name in found.items()}
    return [items[name] for name in natural_sorted(items)]


def shard_of(videos: list[VideoItem], shard: tuple[int, int]) -> list[VideoItem]:
    """The videos of shard i of n. Each video is in exactly one shard."""
    index, count = shard
    return videos[index::count]


def parse_shard(text: str | None) -> tuple[int, int]:
    """``i/n`` as two numbers; by default torchrun's RANK and WORLD_SIZE, or 0 and 1.

    Raises:
        ConfigError: Not ``i/n`` with 0 <= i < n.
    """
    if text is None:
        return int(os.environ.get('RANK', 0)), int(os.environ.get('WORLD_SIZE', 1))
    index, sign, count = text.partition('/')
    if not (sign and index.isdigit() and count.isdigit() and int(index) < int(count)):
        raise ConfigError(f'--shard {text}: write i/n with i from 0 to n - 1, such as 0/4.')
    return int(index), int(count)


def wait_for_other_shards() -> None:
    """Wait until the other processes of torchrun are done with their shards; without torchrun, return at once.

    When one process ends with an error status, such as for a bad video, torchrun ends the others, which may still work.
    """
    if 'TORCHELASTIC_RUN_ID' not in os.environ:
        return
    import torch.distributed as dist

    dist.init_process_group('gloo', timeout=_LONGEST_WAIT)
    dist.barrier()


def listed_paths(source: Path, folder: Path) -> Iterator[Path]:
    """The paths of a ``.txt`` list. A line is a path below ``folder``, or one followed by other columns."""
    for line in read_lines(source):
        whole = folder / line.strip()
        if line.strip() and os.path.isfile(whole):
            yield whole
        else:
            yield from (folder / entry.name for entry in parse_list([line]))


def _without_reports(
    source: Path, left_out: list[str], tell: bool = True
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Folders as of :func:`walk`, without reports, whose paths are added to ``left_out``."""
    for folder, subfolders, files in walk(source, tell):
        if REPORT_FILE in files and {'assets', 'media'}.issubset(subfolders):
            left_out.append(folder)
            subfolders.clear()
        else:
            yield folder, subfolders, files


def _frame_folders(source: Path, root: str | os.PathLike | None) -> dict[str, str]:
    """Folders of images and their names."""
    found = {}
    for folder, subfolders, files in _without_reports(source, [], tell=False):
        subfolders[:] = sorted(s for s in subfolders if not s.startswith('.') and not s.endswith('_gt'))
        if any(map(is_frame, files)):
            top = Path(root) if root else source if Path(folder) != source else Path(os.path.abspath(source)).parent
            found[folder] = _name(Path(folder), top)
    return found


def size_of(path: str) -> int:
    """Size of a file, or of all files of a folder, in bytes; a link to nothing has 0."""
    if os.path.isdir(path):
        return sum(entry.stat().st_size for entry in os.scandir(path) if entry.is_file())
    return os.path.getsize(path) if os.path.isfile(path) else 0


def _must_exist(path: Path, why: str) -> None:
    if not os.path.isfile(path):
        raise MissingFileError(f'There is no video {path} ({why}){no_file_advice(path)}')


def _name(path: Path, root: Path, keep_ending: bool = False) -> str:
    relative = Path(os.path.relpath(path, root))
    if relative.parts[0] == '..':
        raise ConfigError(f'{path} does not lie under {root}. Name a --root that is above all videos.')
    return (relative if keep_ending or path.is_dir() else relative.with_suffix('')).as_posix()
