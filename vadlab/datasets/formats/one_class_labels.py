"""Ground truth of the clips of a one-class data set, from any of the published annotation files."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.natural_order import natural_sorted

from .frame_masks import mask_to_intervals, read_frame_masks
from .one_class_layouts import Clip, ClipFolder
from .one_class_truth import read_joined_labels, read_mat_intervals, read_ubnormal_tracks, read_ucsd_intervals
from .pixel_masks import avenue_files, ped2_folders, ped2_name, read_avenue_masks, read_ped2_masks
from .pixel_truth import PixelTruth

#: Sources of frame truth, the authors' own first; ``auto`` takes the first one that is there.
LABELS = ('frame_masks', 'masks', 'tracks', 'intervals', 'joined')

_NORMAL = re.compile(r'\d\d_\d{3}')  # training videos of ShanghaiTech
_WHERE = {
    'frame_masks': 'testing/test_frame_mask/*.npy or truth/*.npy',
    'masks': 'Test001_gt/*.bmp or testing_label_mask/1_label.mat',
    'tracks': 'Scene*/NAME_annotations/NAME_tracks.txt',
    'intervals': 'UCSDped2.m or a .mat file with gt',
    'joined': 'frame_labels_*.npy',
}


@dataclass
class ClipTruth:
    """Truth of the clips of one split.

    Attributes:
        source (str): One of :data:`LABELS`; empty if there is no truth.
        files (str): The file or folder that it is from.
        intervals (dict[str, np.ndarray]): Anomalous frames by clip, half-open, int64, shape (K, 2).
        num_frames (dict[str, int]): Frames that the truth has, by clip; only clips for which the files give it.
        pixels (dict[str, PixelTruth]): Pixel masks by clip.
        others (dict[str, str]): Other sources in the folder that were not used, and their files.
    """

    source: str = ''
    files: str = ''
    intervals: dict[str, np.ndarray] = field(default_factory=dict)
    num_frames: dict[str, int] = field(default_factory=dict)
    pixels: dict[str, PixelTruth] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)


def read_clip_truth(folder: ClipFolder, labels: str = 'auto') -> ClipTruth:
    """Read the frame truth of clips, and find their pixel masks.

    Args:
        folder (ClipFolder): The clips of a split, from :func:`~.one_class_layouts.find_clips`.
        labels (str): One of :data:`LABELS`, ``auto`` for the first one that is there, or ``none``.

    Raises:
        MissingFileError: The source of ``labels`` is not there.
        DataError: Truth cannot be read, or has other clips or lengths than the data set.
    """
    if labels == 'none':
        return ClipTruth()
    places = {source: place for source in LABELS if (place := _place(folder.root, source)) is not None}
    if labels != 'auto' and labels not in places:
        raise MissingFileError(
            f'{folder.root}: labels={labels!r} reads {_WHERE[labels]}, and there is none. '
            f'Found: {", ".join(places) or "no truth at all"}'
        )
    source = next(iter(places), '') if labels == 'auto' else labels
    truth = ClipTruth(source=source)
    _find_pixels(folder, truth, places.get('masks'))
    if not source:
        return truth
    truth.files = str(places[source])
    truth.others = {name: str(place) for name, place in places.items() if name != source}
    _READERS[source](folder, places[source], truth)
    wrong = [
        clip
        for clip in folder.clips
        if clip.num_frames and clip.name in truth.num_frames and truth.num_frames[clip.name] != clip.num_frames
    ]
    if wrong:
        raise DataError(
            f'{wrong[0].path}: {wrong[0].num_frames} frames, {truth.num_frames[wrong[0].name]} in the truth '
            f'{truth.files}' + (f' (and {len(wrong) - 1} more clips)' if len(wrong) > 1 else '')
        )
    return truth


def _place(root: Path, source: str) -> Path | None:
    """File or folder of a source of truth."""

    def first(*patterns: str) -> Path | None:
        return next((path for pattern in patterns for path in natural_sorted(root.glob(pattern))), None)

    if source == 'frame_masks':
        found = first('testing/test_frame_mask/*.npy', 'test_frame_mask/*.npy', 'truth/*.npy')
        return found and found.parent
    if source == 'masks':
        found = first('Test/*_gt', 'testing/*_gt', 'testing/frames/*_gt', 'test/*_gt', '*_gt', '*/*_gt')
        found = found or first('testing_label_mask/*_label.mat', '*/testing_label_mask/*_label.mat')
        return found and found.parent
    if source == 'tracks':
        found = first('Scene*/*_annotations')
        return found and found.parent.parent
    if source == 'intervals':
        found = first('UCSDped*.m', 'Test/UCSDped*.m', 'testing/UCSDped*.m')
        if found:
            return found
        return next((path for path in natural_sorted(root.glob('*.mat')) if read_mat_intervals(path) is not None), None)
    return first('frame_labels*.npy', '*/frame_labels*.npy')


def _by_name(folder: ClipFolder, given: Mapping[str, object], files: Path) -> dict[str, str]:
    """The clip of each name in the truth: by name, or by the number in it (``Test001``, ``1`` and ``01``)."""
    numbers = {ped2_name(name): name for name in given}
    names = {}
    for clip in folder.clips:
        name = clip.name if clip.name in given else numbers.get(ped2_name(clip.name))
        if name is not None:
            names[clip.name] = name
    missing = [clip.name for clip in folder.clips if clip.name not in names]
    if missing:
        raise DataError(
            f'{len(missing)} of {len(folder.clips)} test clips have no truth in {files} (first: {missing[0]}). Add it, '
            "or test without truth: labels='none'"
        )
    return names


def _read_frame_masks(folder: ClipFolder, place: Path, truth: ClipTruth) -> None:
    masks = read_frame_masks(place)
    if folder.layout == 'shanghaitech':  # normal videos of the weakly supervised split have no file
        normal = {clip.name for clip in folder.clips if clip.name not in masks and _NORMAL.fullmatch(clip.name)}
        truth.intervals |= dict.fromkeys(normal, np.zeros((0, 2), np.int64))
        folder = replace(folder, clips=tuple(clip for clip in folder.clips if clip.name not in normal))
    _take(masks, _by_name(folder, masks, place), truth)


def _read_masks(folder: ClipFolder, place: Path, truth: ClipTruth) -> None:
    is_avenue = any(place.glob('*_label.mat'))
    listed: Mapping[str, object] = avenue_files(place) if is_avenue else ped2_folders(place)
    names = _by_name(folder, listed, place)
    reader = read_avenue_masks if is_avenue else read_ped2_masks
    _take(reader(place, set(names.values())), names, truth)


def _take(masks: Mapping[str, np.ndarray], names: Mapping[str, str], truth: ClipTruth) -> None:
    for clip, name in names.items():
        truth.intervals[clip] = mask_to_intervals(masks[name])
        truth.num_frames[clip] = len(masks[name])


def _read_tracks(folder: ClipFolder, place: Path, truth: ClipTruth) -> None:
    for clip in folder.clips:
        pairs = []
        if clip.name.startswith('abnormal'):
            path = Path(clip.path).parent / f'{clip.name}_annotations' / f'{clip.name}_tracks.txt'
            pairs = [(start, end) for _, start, end in read_ubnormal_tracks(path)]
        truth.intervals[clip.name] = _merged(pairs)


def _merged(pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    mask = np.zeros(max((end for _, end in pairs), default=0), bool)
    for start, end in pairs:
        mask[start:end] = True
    return mask_to_intervals(mask)


def _read_intervals(folder: ClipFolder, place: Path, truth: ClipTruth) -> None:
    clips = read_ucsd_intervals(place) if place.suffix == '.m' else read_mat_intervals(place) or []
    numbered = {ped2_name(str(number)): found for number, found in enumerate(clips, start=1)}
    for clip, name in _by_name(folder, numbered, place).items():
        truth.intervals[clip] = numbered[name]
    _check_ends(folder.clips, truth, place)


def _read_joined(folder: ClipFolder, place: Path, truth: ClipTruth) -> None:
    from ..video import index_video

    counts = {clip.name: clip.num_frames or index_video(clip.path).total_frames for clip in folder.clips}
    labels = read_joined_labels(place, counts)
    _take(labels, {name: name for name in labels}, truth)


def _check_ends(clips: Sequence[Clip], truth: ClipTruth, place: Path) -> None:
    for clip in clips:
        end = int(truth.intervals[clip.name].max(initial=0))
        if clip.num_frames and end > clip.num_frames:
            raise DataError(f'{place}: anomalous up to frame {end} in {clip.name}, which has {clip.num_frames} frames')


_READERS = {
    'frame_masks': _read_frame_masks,
    'masks': _read_masks,
    'tracks': _read_tracks,
    'intervals': _read_intervals,
    'joined': _read_joined,
}


def _find_pixels(folder: ClipFolder, truth: ClipTruth, masks: Path | None) -> None:
    """Pixel masks, whichever frame truth is used."""
    for clip in folder.clips:
        if folder.layout == 'ubnormal':
            annotations = Path(clip.path).parent / f'{clip.name}_annotations'
            if annotations.is_dir():
                truth.pixels[clip.name] = PixelTruth('ubnormal', str(annotations))
        path = folder.root / 'testing' / 'test_pixel_mask' / f'{clip.name}.npy'
        if path.is_file():
            truth.pixels[clip.name] = PixelTruth('npy', str(path))
    if masks is None:
        return
    kind = 'mat' if any(masks.glob('*_label.mat')) else 'pictures'
    files = avenue_files(masks) if kind == 'mat' else ped2_folders(masks)
    numbers = {ped2_name(name): path for name, path in files.items()}
    for clip in folder.clips:
        if path_of := files.get(clip.name) or numbers.get(ped2_name(clip.name)):
            truth.pixels[clip.name] = PixelTruth(kind, str(path_of))
