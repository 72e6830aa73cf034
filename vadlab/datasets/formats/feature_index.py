"""Finding the feature files of each video from the entries of a list."""

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
        video_id (str): Name without folders, crop and extensions.
        name (str): Path in the list, which may contain the class.
        label (str | None): Label beside the path in the list.
        files (dict[int, str]): Absolute paths by number of the crop; a file with all crops has number 0.
    """

    video_id: str
    name: str
    label: str | None
    files: dict[int, str] = field(default_factory=dict)


def index_features(root: str, option: str = 'feature_dir') -> PathIndex:
    """Index of all feature files below a folder.

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
    """Find the files of all entries, and group the crops of a video.

    A file is looked up by its path below the folder, then by its name. For several files of one name, the folders in
    the entry decide, so a list with its authors' absolute paths can be used unchanged. An entry that names a video
    selects all its crops.

    Args:
        entries (Sequence[ListEntry]): Entries of a list.
        index (PathIndex): Index of the folder with the features.
        separator (str | None): Separator of video and crop; ``auto`` for the one that :func:`crop_separator_of` finds.
        problems (ProblemList): Collects missing, ambiguous and repeated files, and contradicting labels.

    Returns:
        list[FeatureVideo]: Videos in the order of their first entries; crops in ascending order.
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
