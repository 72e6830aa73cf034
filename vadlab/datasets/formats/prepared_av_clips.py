"""Prepared clips on disk: paths, manifest, checks and loading."""

import dataclasses
import json
import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.json_file import read_json, read_json_lines
from vadlab.utils.npy_file import map_npy

from ..audio.log_mel import LogMelRecipe
from .av_clip_metadata import AVClipRecord
from .av_clip_recipe import FrameRecipe

FRAMES_DIR = 'video_frames'
MELS_DIR = 'mel_spectrograms'
RECIPE_FILE = 'recipe.json'
MANIFEST_FILE = 'manifest.jsonl'
STATISTICS_FILE = 'statistics.json'
#: Part of the recipe, to detect clips that an older version prepared: change it when the reading of videos changes.
READ_AS = (
    'pictures as a player turns them; the loudest channel where channels cancel; the first track that is not silent'
)
_PREPARE = 'tools/prepare_wildlife.py'


@dataclass(frozen=True)
class PreparedAVClip:
    """One line of the manifest: a prepared clip, or the reason why it could not be prepared.

    Attributes:
        clip_id (str): As in the metadata.
        video (str): Path below the folder of videos.
        video_bytes (int): Size of the video when it was prepared.
        start (float | None): As in the metadata, in seconds.
        end (float | None): As in the metadata, in seconds.
        audio (str): Separate file with the sound; empty for the video's own track.
        audio_bytes (int): Its size.
        bad (str): Why the clip cannot be used; empty if it can.
        frames_shape (list[int]): S, 3, H, W.
        frames_bytes (int): Size of the ``.pt``.
        frame_inds (list[int]): Frames of the video that were kept.
        times (list[float]): Their presentation times, in seconds from the start of the clip.
        num_frames (int): Frames of the clip in the video.
        duration (float): In seconds.
        fps (float): Frames per second of the video.
        sound (str): ``track``; ``silent`` if all samples are zero; ``none`` without a track.
        file_rate (int): Sample rate of the file's sound, in Hz; 0 without a track.
        mel_shape (list[int]): Bands, columns; empty without a spectrogram.
        mel_bytes (int): Size of the ``.npy``.
        mel_sum (float): Sum of all values of the spectrogram.
        mel_square_sum (float): Sum of their squares.
        note (str): A warning about the clip.
        sound_notes (list[str]): :attr:`~vadlab.datasets.audio.Sound.notes`.
    """

    clip_id: str
    video: str
    video_bytes: int
    start: float | None = None
    end: float | None = None
    audio: str = ''
    audio_bytes: int = 0
    bad: str = ''
    frames_shape: list[int] = field(default_factory=list)
    frames_bytes: int = 0
    frame_inds: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    num_frames: int = 0
    duration: float = 0.0
    fps: float = 0.0
    sound: str = 'none'
    file_rate: int = 0
    mel_shape: list[int] = field(default_factory=list)
    mel_bytes: int = 0
    mel_sum: float = 0.0
    mel_square_sum: float = 0.0
    note: str = ''
    sound_notes: list[str] = field(default_factory=list)

    @property
    def has_mel(self) -> bool:
        """Whether there is a spectrogram."""
        return bool(self.mel_shape)

    def is_of(self, record: AVClipRecord) -> bool:
        """Whether it was made from the video and times of a line of the metadata."""
        wanted = (record.video, record.start, record.end, record.audio)
        return (self.video, self.start, self.end, self.audio) == wanted

    def as_line(self) -> str:
        """JSON on one line."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, allow_nan=False) + '\n'


def frames_path(folder: str | os.PathLike, clip_id: str) -> Path:
    """Path of a clip's frames: uint8, shape (S, 3, H, W)."""
    return Path(folder, FRAMES_DIR, f'{clip_id}.pt')


def mel_path(folder: str | os.PathLike, clip_id: str) -> Path:
    """Path of a clip's spectrogram: float32, shape (bands, columns)."""
    return Path(folder, MELS_DIR, f'{clip_id}.npy')


def read_manifest(folder: str | os.PathLike) -> dict[str, PreparedAVClip]:
    """All clips in the manifest; the last line of a clip counts.

    A line is appended after a clip's files are written. Text after the last line break is the beginning of a line that
    a kill cut off.

    Raises:
        MissingFileError: There are no prepared clips.
        DataError: A line cannot be read.
    """
    path = _required(folder, MANIFEST_FILE)
    clips = {}
    try:
        for number, line in read_json_lines(path, is_ended=True):
            clip = _clip_of(line)
            if clip is None:
                raise DataError(f'{path}, line {number} describes no clip')
            clips[clip.clip_id] = clip
    except DataError as error:
        raise DataError(f'{error}. Prepare the clips again: {_PREPARE} --overwrite') from error
    return clips


def _required(folder: str | os.PathLike, name: str) -> Path:
    path = Path(folder, name)
    if not path.is_file():
        raise MissingFileError(f'There is no {path}: {folder} contains no prepared clips. Make them with {_PREPARE}')
    return path


def _clip_of(line: object) -> PreparedAVClip | None:
    """The clip of a line; None if a field is missing, unknown or of another type."""
    try:
        clip = PreparedAVClip(**line)  # type: ignore[arg-type]
    except TypeError:
        return None
    for spec in dataclasses.fields(clip):
        value = getattr(clip, spec.name)
        kind = spec.type.__name__ if type(spec.type) is type else str(spec.type)
        values = value if isinstance(value, list) and kind.startswith('list') else [value]
        allowed: tuple[type, ...] = (str,) if 'str' in kind else (int, float) if 'float' in kind else (int,)
        if isinstance(value, list) is not kind.startswith('list') or not all(
            (isinstance(v, allowed) and not isinstance(v, bool)) or (v is None and 'None' in kind) for v in values
        ):
            return None
    return clip


def read_prepared_recipe(folder: str | os.PathLike) -> tuple[FrameRecipe, LogMelRecipe]:
    """Read the recipe of the clips in a folder.

    Raises:
        MissingFileError: There are no prepared clips.
        DataError: The recipe cannot be read.
    """
    path = _required(folder, RECIPE_FILE)
    try:
        content = read_json(path)['recipe']
        return FrameRecipe(**content['frames']), LogMelRecipe(**content['sound'])
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f'{path} cannot be read ({error}). Prepare the clips again: {_PREPARE} --overwrite') from error


def reading_note(folder: str | os.PathLike) -> str:
    """A warning if clips were prepared by a version that read videos differently; else empty."""
    content = read_json(Path(folder, RECIPE_FILE))
    recipe = content.get('recipe') if isinstance(content, dict) else None
    if isinstance(recipe, dict) and recipe.get('read_as') == READ_AS:
        return ''
    return (
        'the clips were prepared by another version of VADLab. It did not turn videos that a player turns, and treated '
        f'sound whose channels cancel as silence. If you have such videos, prepare again: {_PREPARE} --overwrite'
    )


def has_files(folder: str | os.PathLike, clip: PreparedAVClip) -> str:
    """Problem of a prepared clip's files, found by their sizes; empty if there is none."""
    wanted = {frames_path(folder, clip.clip_id): clip.frames_bytes}
    if clip.has_mel:
        wanted[mel_path(folder, clip.clip_id)] = clip.mel_bytes
    for path, size in wanted.items():
        try:
            found = os.stat(path).st_size
        except OSError:
            return f'{path} is gone'
        if found != size:
            return f'{path} has {found} bytes, but had {size} when it was made'
    return ''


def load_frames(path: str | os.PathLike, shape: list[int] | tuple[int, ...]) -> Tensor:
    """Map prepared frames into memory; only the frames that are used are read.

    Returns:
        Tensor: uint8, shape (S, 3, H, W).

    Raises:
        DataError: The file cannot be read, or holds something else than the manifest says.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            frames = torch.load(path, mmap=True, weights_only=True, map_location='cpu')
    except Exception as error:  # torch raises many kinds of errors for damaged files
        raise DataError(f'{path}: cannot be read ({error}). Prepare it again: {_PREPARE}') from error
    found = f'{frames.dtype} of shape {tuple(frames.shape)}' if isinstance(frames, Tensor) else type(frames).__name__
    if not isinstance(frames, Tensor) or frames.dtype != torch.uint8 or tuple(frames.shape) != tuple(shape):
        raise DataError(
            f'{path}: holds {found}; wanted torch.uint8 of shape {tuple(shape)}, as the manifest beside it says. '
            f'Prepare it again: {_PREPARE}'
        )
    return frames


def load_mel(path: str | os.PathLike, shape: list[int] | tuple[int, ...]) -> np.ndarray:
    """Map a prepared spectrogram into memory.

    Returns:
        np.ndarray: float32, shape (bands, columns), read-only.

    Raises:
        DataError: The file cannot be read, or holds something else than the manifest says.
    """
    try:
        mel = map_npy(path)
    except (MissingFileError, DataError) as error:
        raise DataError(f'{path}: cannot be read ({error}). Prepare it again: {_PREPARE}') from error
    if mel.dtype != np.float32 or mel.shape != tuple(shape):
        raise DataError(
            f'{path}: holds {mel.dtype} of shape {mel.shape}; wanted float32 of shape {tuple(shape)}, as the manifest '
            f'beside it says. Prepare it again: {_PREPARE}'
        )
    return mel
