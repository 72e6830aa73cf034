"""From the entries of a list to the feature files of each video."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from vadlab.utils.errors import MissingFileError

from ..problem_list import ProblemList
from ..video_names import video_id_of
from .feature_lists import ListEntry, crop_separator_of, split_feature_name
from .path_index import PathIndex

_SUFFIXES = frozenset(('.npy',))


@dataclass
class FeatureVideo:
    """The feature files of one video.

    Attributes:
        video_id (str): Without folders, crop and endings.
        name (str): What the list calls it: a path that may tell its class.
        label (str | None): What stands beside it in the list.
        files (dict[int, str]): Absolute paths by number of the crop; a file of all crops is under 0.
    """

    video_id: str
    name: str
    label: str | None
    files: dict[int, str] = field(default_factory=dict)


def index_features(root: str, option: str = 'feature_dir') -> PathIndex:
    """All feature files below a folder.

    Raises:
        MissingFileError: There is no such folder, or no ``.npy`` file below it.
    """
    if not os.path.isdir(root):
        raise MissingFileError(f'{option}: there is no folder {root} (looked at {os.path.abspath(root)})')
    index = PathIndex(root, _SUFFIXES)
    if not index.n_files:
        raise MissingFileError(f'{option}: there is no .npy file below {index.root}')
    return index


def gather_videos(
    entries: Sequence[ListEntry], index: PathIndex, separator: str | None, problems: ProblemList
) -> list[FeatureVideo]:
    """Find the files of all entries, and put the crops of a video together.

    A file is looked for at its path below the folder, then by its name; the folders in the entry decide between files
    of one name, so a list with its authors' absolute paths can be used as it is. An entry that names a video stands
    for all its crops.

    Args:
        entries (Sequence[ListEntry]): Of a list.
        index (PathIndex): Of the folder with the features.
        separator (str | None): Between video and crop; ``auto`` as :func:`crop_separator_of` finds it.
        problems (ProblemList): Notes files not found, ambiguous ones, repeated ones and labels that contradict.

    Returns:
        list[FeatureVideo]: In the order in which the list names them first; crops in ascending order.
    """
    by_name = any(not entry.is_file for entry in entries)
    if separator == 'auto':
        separator = crop_separator_of(index.paths if by_name else [entry.name for entry in entries])
    crops_on_disk: dict[str, list[str]] = {}
    if by_name:
        for path in index.paths:
            crops_on_disk.setdefault(split_feature_name(path, separator)[0], []).append(path)

    videos: dict[str, FeatureVideo] = {}
    for entry in entries:
        paths, video_id = _find(entry, index, separator, crops_on_disk)
        if not paths:
            problems.note(
                f'of {len(entries)} entries have no feature file among {index.n_files} below {index.root}',
                entry.name,
                missing=True,
            )
            continue
        video = videos.setdefault(video_id, FeatureVideo(video_id, entry.name, entry.label))
        if video.label != entry.label:
            problems.note('videos have crops with different labels', f'{video_id}: {video.label}, {entry.label}')
        for path in paths:
            crop = split_feature_name(path, separator)[1] or 0
            if video.files.get(crop, path) != path:
                problems.note(
                    'crops are there more than once; name their folder by feature_dir',
                    f'{os.path.relpath(video.files[crop], index.root)}, {os.path.relpath(path, index.root)}',
                )
            video.files[crop] = path
    for video in videos.values():
        video.files = dict(sorted(video.files.items()))
    counts = Counter(entry.name for entry in entries)
    for name in (name for name, count in counts.items() if count > 1):
        problems.note('entries are listed more than once', name)
    return list(videos.values())


def _find(
    entry: ListEntry, index: PathIndex, separator: str | None, crops_on_disk: dict[str, list[str]]
) -> tuple[list[str], str]:
    if entry.is_file:
        found = [entry.name] if os.path.isabs(entry.name) and os.path.isfile(entry.name) else index.find(entry.name)
        return found, split_feature_name(entry.name, separator)[0]
    video_id = video_id_of(entry.name)
    return crops_on_disk.get(video_id, []), video_id
