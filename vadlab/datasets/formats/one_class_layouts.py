"""Finding the clips of one-class data sets, in all common folder layouts.

================ =====================================================================================================
layout           folders
================ =====================================================================================================
``ucsd``         ``Train/Train001/001.tif``, ``Test/Test001/001.tif``, ``Test/Test001_gt/001.bmp``, ``Test/UCSDped2.m``
``frames``       ``training/frames/01/000.jpg``, ``testing/frames/01/000.jpg``, ``ped2.mat``, ``frame_labels_ped2.npy``:
                 the tree of MNAD and its followers
``avenue``       ``training_videos/01.avi``, ``testing_videos/01.avi``, ``*/testing_label_mask/1_label.mat``
``shanghaitech`` ``training/videos/01_001.avi``, ``testing/frames/01_0014/000.jpg``, ``testing/test_frame_mask/*.npy``
``ubnormal``     ``Scene1/normal_scene_1_scenario_1.mp4``, ``Scene1/abnormal_..._annotations``, lists in ``scripts/``
``folder``       ``train/`` and ``test/`` with videos or folders of frames, truth in ``truth/NAME.npy``; or only videos.
                 Folders may be nested: ``train/monday/01.mp4`` is clip ``monday_01``
================ =====================================================================================================
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.natural_order import natural_sorted
from vadlab.utils.text_file import read_lines

from ..video.frame_folder import check_frame_numbers, is_frame
from ..video_names import VIDEO_ENDINGS, video_id_of

LAYOUTS = ('ucsd', 'frames', 'avenue', 'shanghaitech', 'ubnormal', 'folder')
SPLITS = ('train', 'test')

# Folders of training and test clips, by layout.
_FOLDERS = {
    'ucsd': (('Train', 'Test'),),
    'avenue': (('training_videos', 'testing_videos'),),
    'shanghaitech': (('training/videos', 'testing/frames'), ('training/frames', 'testing/frames')),
    'frames': (('training/frames', 'testing/frames'), ('training/videos', 'testing/videos')),
    'folder': (('train', 'test'), ('training', 'testing')),
}
_UBNORMAL = re.compile(r'(ab)?normal_scene_(\d+)_scenario_?\w+')


@dataclass(frozen=True)
class Clip:
    """One clip of a data set.

    Attributes:
        name (str): Unique in its split.
        path (str): A video, or a folder of frames.
        num_frames (int | None): Frames in a folder; None for a video, which would have to be opened.
    """

    name: str
    path: str
    num_frames: int | None = None


@dataclass(frozen=True)
class ClipFolder:
    """The clips of one split.

    Attributes:
        root (Path): The data set's folder.
        layout (str): One of :data:`LAYOUTS`.
        clips (tuple[Clip, ...]): In natural order of names.
    """

    root: Path
    layout: str
    clips: tuple[Clip, ...]


def find_clips(root: str | Path, split: str, layout: str = 'auto') -> ClipFolder:
    """Find the clips of a split.

    Args:
        root (str | Path): The data set's folder.
        split (str): ``train`` or ``test``.
        layout (str): One of :data:`LAYOUTS`, or ``auto``.

    Raises:
        MissingFileError: There is no such folder, or no clip in it.
        DataError: The folder holds several data sets, two clips have the same name, or frame numbers have a gap.
    """
    root = Path(root)
    if not root.is_dir():
        raise MissingFileError(f'data_root: there is no folder {root}')
    root = _inner(root)
    layout = detect_layout(root) if layout == 'auto' else layout
    if layout == 'ubnormal':
        return ClipFolder(root, layout, _ubnormal_clips(root, split))
    folder = split_folder(root, split, layout)
    if folder is None:
        wanted = ' or '.join(pair[SPLITS.index(split)] for pair in _FOLDERS[layout])
        raise MissingFileError(f'{root}: there is no folder {wanted} with the {split} clips (layout {layout})')
    clips = _clips_in(folder, nested=layout == 'folder')
    if not clips and (pictures := [path.name for path in folder.iterdir() if is_frame(path.name)]):
        raise MissingFileError(
            f'{folder}: {len(pictures)} pictures lie directly in the folder. The frames of each clip need a folder of '
            f'their own, such as {folder / "01"}'
        )
    if not clips:
        raise MissingFileError(
            f'{folder}: there is no clip, neither a video ({", ".join(VIDEO_ENDINGS[:4])}, ...) nor a folder of frames'
        )
    return ClipFolder(root, layout, clips)


def detect_layout(root: Path) -> str:
    """Layout of a data set's folder, by the names of its folders."""
    if any(_UBNORMAL.fullmatch(path.stem) for scene in root.glob('Scene*') for path in scene.iterdir()):
        return 'ubnormal'
    if (root / 'testing' / 'test_frame_mask').is_dir():
        return 'shanghaitech'
    for layout in ('ucsd', 'avenue', 'frames'):
        if any((root / folder).is_dir() for pair in _FOLDERS[layout] for folder in pair):
            return layout
    return 'folder'


def split_folder(root: Path, split: str, layout: str) -> Path | None:
    """Folder of a split's clips; for a plain folder without ``train`` and ``test``, the folder itself for both."""
    for pair in _FOLDERS[layout]:
        folder = root / pair[SPLITS.index(split)]
        if folder.is_dir():
            return folder
    if layout == 'folder' and not any((root / name).is_dir() for pair in _FOLDERS[layout] for name in pair):
        return root
    return None


def _inner(root: Path) -> Path:
    """The archives of UCSD and Avenue hold one more folder."""
    inside = natural_sorted(
        path
        for path in root.iterdir()
        if path.is_dir() and any((path / folder).is_dir() for folder in ('Train', 'training_videos'))
    )
    has_own = any((root / folder).is_dir() for pairs in _FOLDERS.values() for pair in pairs for folder in pair)
    if not inside or has_own:
        return root
    if len(inside) > 1:
        names = ', '.join(path.name for path in inside)
        raise DataError(f'data_root: {root} holds several data sets ({names}). Give one of them, such as {inside[0]}')
    return inside[0]


def _clips_in(folder: Path, nested: bool = False) -> tuple[Clip, ...]:
    clips: dict[str, Clip] = {}
    for clip in _walk(folder, '', nested):
        if other := clips.get(clip.name):
            raise DataError(f'{other.path} and {clip.path} are both clip {clip.name}. Remove or rename one')
        clips[clip.name] = clip
    return tuple(clips.values())


def _walk(folder: Path, prefix: str, nested: bool) -> Iterator[Clip]:
    """Videos and folders of frames. With ``nested`` those in further folders, too, named ``FOLDER_NAME``."""
    for path in natural_sorted(folder.iterdir()):
        if path.name.startswith('.') or path.name.endswith('_gt'):
            continue
        if path.is_dir():
            frames = natural_sorted(name.name for name in path.iterdir() if is_frame(name.name))
            if frames:
                check_frame_numbers(path, frames)
                yield Clip(prefix + path.name, str(path), len(frames))
            elif nested:
                yield from _walk(path, f'{prefix}{path.name}_', nested)
        elif path.suffix.lower() in VIDEO_ENDINGS:
            yield Clip(prefix + video_id_of(path.name), str(path))


# ---- UBnormal -----------------------------------------------------------------------------------------------------


def _ubnormal_clips(root: Path, split: str) -> tuple[Clip, ...]:
    """Training: the normal training videos. Test: normal and abnormal test videos. The lists name them."""
    found = {}
    for scene in natural_sorted(root.glob('Scene*')):
        for clip in _clips_in(scene):
            if _UBNORMAL.fullmatch(clip.name):
                found[clip.name] = clip
    kinds = ('normal_training',) if split == 'train' else ('normal_test', 'abnormal_test')
    names: list[str] = []
    for kind in kinds:
        file = next((f for d in ('scripts', '.') for f in (root / d).glob(f'{kind}_video_names.txt')), None)
        if file is None:
            raise MissingFileError(
                f'{root}: there is no {kind}_video_names.txt (in scripts/), which says which videos are in the split. '
                "It is in UBnormal's repository"
            )
        names += [video_id_of(line.strip()) for line in read_lines(file) if line.strip()]
    missing = [name for name in names if name not in found]
    if missing:
        raise MissingFileError(
            f'{root}: {len(missing)} of {len(names)} {split} videos are missing (first: {missing[0]}). Download the '
            'set again, or remove these from the list'
        )
    return tuple(replace(found[name]) for name in natural_sorted(names))
