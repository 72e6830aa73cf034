"""A folder of results: which run it belongs to, and which videos are done."""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from vadlab.structures.video_result import RUN_FILE, RunInfo, VideoResult
from vadlab.utils.errors import ConfigError, DataError, MissingFileError
from vadlab.utils.folder_content import folder_content

from .video_inputs import VideoSource


def settings_id(config: Mapping[str, Any]) -> str:
    """Identifies the settings of a config on which scores depend beside the weights: the model and its input."""
    used = {name: config.get(name) for name in ('model', 'data_preprocessor')}
    used['pipeline'] = ((config.get('test_dataloader') or {}).get('dataset') or {}).get('pipeline')
    text = json.dumps(used, sort_keys=True, default=lambda value: getattr(value, '__qualname__', type(value).__name__))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def claim_folder(out: str | os.PathLike, info: RunInfo) -> None:
    """Write the record of a run to a folder, or check that it is the same run.

    Raises:
        ConfigError: The folder has results of another run, or other JSON files.
    """
    try:
        known = RunInfo.load(out)
    except MissingFileError:
        known = None
        if folder_content(out):
            raise ConfigError(
                f'{out} is not empty, and has no {RUN_FILE} of an earlier run. Choose an empty or a new folder.'
            ) from None
    except DataError as error:
        raise ConfigError(f'{error} Choose another folder.') from error
    if known is not None:
        same = ('model', 'prompts', 'protocol', 'weights')
        other = [name for name in same if getattr(known, name) != getattr(info, name)]
        if not other and known.settings and info.settings and known.settings != info.settings:
            raise ConfigError(
                f'{out} has results of other settings of the config, such as of --cfg-options. Choose another folder, '
                'or remove this one.'
            )
        if other:
            raise ConfigError(
                f'{out} has results of another run: its {other[0]}: {_in_words(known, other[0])}; now: '
                f'{_in_words(info, other[0])}. Choose another folder, or remove this one.'
            )
    try:
        info.save(out, is_new=known is None)
    except FileExistsError:  # another run has claimed the folder in the meantime
        claim_folder(out, info)


def _in_words(info: RunInfo, name: str) -> str:
    value = getattr(info, name)
    return (', '.join(map(repr, value)) or 'none') if isinstance(value, tuple) else str(value)


def finished_result(out: str | os.PathLike, source: VideoSource, fps: float) -> VideoResult | None:
    """The result of a video in a folder, if it is complete, without an error, and newer than the video.

    Args:
        out (str | PathLike): Folder of the results.
        source (VideoSource): The video.
        fps (float): Frame rate of folders of frames; their result must have the same.
    """
    path = VideoResult.file_in(out, source.name)
    if source.frames is not None or not path.is_file():
        return None
    try:
        result = VideoResult.load(path)
        is_new = os.stat(source.path).st_mtime_ns <= path.stat().st_mtime_ns
    except (DataError, OSError):
        return None
    if os.path.isdir(source.path) and result.fps != fps:
        return None
    return result if is_new and result.error is None and result.path == source.path else None
