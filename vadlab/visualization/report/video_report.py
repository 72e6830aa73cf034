"""Report of scored videos: a page per video and a list of all, in a folder that can be opened from disk."""

import logging
import os
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from mmengine.logging import print_log

from vadlab.structures.video_result import Event, RunInfo, VideoResult
from vadlab.utils.errors import ConfigError, DataError, MissingFileError
from vadlab.utils.folder_content import folder_content
from vadlab.utils.json_file import read_json, shape_fault, write_json
from vadlab.utils.natural_order import natural_sorted
from vadlab.utils.option_checks import require_folder

from .example_pictures import write_examples
from .file_names import REPORT_FILE, safe_name
from .page_data import index_entry, page_data, readable, spark_windows
from .templates import write_assets, write_page
from .thumbnails import write_thumbnails
from .web_video import write_web_video

_FORMAT = 'vadlab report'
_MOST_THUMBS = 60  # pictures of peaks; the page makes those of other events from the video
_RUN_SHAPE = {'format': str, 'id': str, 'run': {str: Any}}
_ENTRY_SHAPE = {
    'name': str, 'page': str, 'error?': str, 'score?': float, 'labels': [str], 'events': int, 'event_s': float,
    'duration_s': float, 'frames': int, 'truth?': int, 'strip?': str, 'strip_frames': int, 'aspect': float,
    'spark': str, 'spark_range?': [float], 'spark_events': [[float]], 'media?': {str: Any}, 'true_class?': str,
}  # fmt: skip


class VideoReport:
    """Report of scored videos, written as results come; complete for all results so far at any time.

    The folder has ``index.html``, a list of all videos; ``pages/``, a page per video; ``media/``, videos as H.264;
    ``thumbs/``, small pictures; ``assets/``, style and scripts; ``entries/``, a JSON file per video. It can be moved
    and copied as a whole. If it already holds the report of the same run, videos are added to it; the report of
    another run is replaced, except for the videos' H.264 files.

    Args:
        folder (str | Path): The folder; made if missing.
        run (RunInfo): What made the results.
        title (str): Title of the list.
        max_side (int): Longest side of encoded videos, in pixels.
        is_continued (bool): Keep the pages of the same run. If not, only its marks stay valid.

    Raises:
        ConfigError: The folder holds files that are not of a report.
    """

    def __init__(
        self,
        folder: str | Path,
        run: RunInfo,
        title: str = 'Scored videos',
        max_side: int = 1280,
        is_continued: bool = True,
    ) -> None:
        self.folder, self.run, self.title, self.max_side = Path(folder), run, title, max_side
        check_report_folder(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._old_media: dict[str, Any] = {}
        self._entries: dict[str, dict[str, Any]] = {}
        self.id = self._continue(is_continued) or secrets.token_hex(8)
        write_json(self.folder / REPORT_FILE, {'format': _FORMAT, 'id': self.id, 'run': asdict(run)})
        write_assets(self.folder)
        self._index_cost_s = self._index_written = 0.0
        self._write_index()

    def __enter__(self) -> 'VideoReport':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _continue(self, keeps_pages: bool) -> str | None:
        """The id of the report of the same run in the folder; None without one. Removes pages that are replaced."""
        path = self.folder / REPORT_FILE
        if not path.exists():
            return None
        content = read_json(path)
        entries = read_entries(self.folder)
        old, same = content['run'], _same(content['run'], self.run)
        if same and keeps_pages:
            self._entries = entries
            return content['id']
        if not same:
            what = f'{old.get("config")}, {old.get("checkpoint") or "no checkpoint"}'
            print_log(f'{self.folder}: replaces the report of {what}', 'current')
        self._old_media = {name: entry.get('media') for name, entry in entries.items()}
        for part in ('pages', 'entries', 'thumbs'):
            shutil.rmtree(self.folder / part, ignore_errors=True)
        return content['id'] if same else None

    def add(self, result: VideoResult, true_class: str = '') -> Path:
        """Write the page of a video, and add it to the list.

        If a video cannot be shown, its page has the curve and the reason why the video is missing.

        Args:
            result (VideoResult): The result; one with ``error`` becomes an entry of the list with the reason.
            true_class (str): Annotated class of the video, if it is known.

        Returns:
            Path: The page.
        """
        slug = safe_name(result.name)
        page = self.folder / 'pages' / f'{slug}.html'
        media = self._write_media(result, slug) if result.error is None else {}
        entry = index_entry(result, f'pages/{slug}.html', media.get('strip'), media.get('strip_frames', 0))
        entry |= {'media': media, 'true_class': readable(true_class)}
        shown = {
            'src': f'../{media["src"]}' if media.get('src') else None,
            'why': media.get('why', ''),
            'how': media.get('how', ''),
            'thumbs': media.get('thumbs', []),
            'examples': media.get('examples', {}),
            'thumb_folder': f'../thumbs/{slug}',
        }
        write_page(
            page,
            'video.html',
            title=result.name,
            list_title=self.title,
            root='../',
            result=result,
            run=self.run,
            video=shown,
            threshold=result.threshold or self.run.thresholds,
            score=entry['score'],
            data=page_data(result, self.run, self.id, shown),
        )
        write_json(self.folder / 'entries' / f'{slug}.json', entry)
        self._entries[entry['name']] = entry
        # The list is written often while it is cheap, and for thousands of videos not after each.
        if time.monotonic() - self._index_written > 20 * self._index_cost_s:
            self._write_index()
        return page

    def close(self) -> Path:
        """Write the list of all videos, also of those that other processes added; return its path."""
        self._entries = read_entries(self.folder)
        return self._write_index()

    def _write_index(self) -> Path:
        start = time.monotonic()
        entries = [self._entries[name] for name in natural_sorted(self._entries)]
        axis, windows = spark_windows(entries)
        path = write_page(
            self.folder / 'index.html',
            'index.html',
            title=self.title,
            root='',
            run=self.run,
            entries=entries,
            axis=axis,
            windows=windows,
            labels=sorted({label for entry in entries for label in _classes(entry)}),
            data={'report': self.id, 'title': self.title, 'videos': [_for_script(entry) for entry in entries]},
        )
        self._index_written = time.monotonic()
        self._index_cost_s = self._index_written - start
        return path

    def _write_media(self, result: VideoResult, slug: str) -> dict[str, Any]:
        """Write the H.264 file and the pictures of a video; return what the page and the entry need of them."""
        target = self.folder / 'media' / f'{slug}.mp4'
        folder = self.folder / 'thumbs' / slug
        thumbs = thumb_frames(result.events)
        name, source = readable(result.name), _stamp(result)
        old = (self._entries.get(name) or {}).get('media') or self._old_media.get(name) or {}
        media: dict[str, Any] = {'source': source, 'why': ''}
        if not result.path:
            return media | {'why': 'the results name no video file'}
        try:
            if old.get('source') == source and source and target.exists() and old.get('src'):
                media['how'] = old.get('how', '')
            else:
                media['how'] = write_web_video(result.path, target, result.times, self.max_side)
            media['src'] = f'media/{slug}.mp4'
            shutil.rmtree(folder, ignore_errors=True)
            quick = result.path if media['how'] == 'copied' else str(target)
            media['strip_frames'] = write_thumbnails(quick, thumbs, folder, folder / 'strip.jpg', len(result.scores))
            media['thumbs'] = thumbs
            media['examples'] = write_examples(result, thumbs, folder)
            media['strip'] = f'thumbs/{slug}/strip.jpg'
        except (DataError, MissingFileError) as error:
            print_log(f'The page of {result.name} shows no video: {error}', 'current', logging.WARNING)
            media['why'] = readable(str(error))
        return media


def check_report_folder(folder: str | Path, option: str = '--report') -> None:
    """Check that a folder is new, empty, or holds a report.

    Args:
        folder (str | Path): The folder.
        option (str): The option that names it, for the message.

    Raises:
        ConfigError: It holds other files, or is a file.
    """
    folder = Path(folder)
    require_folder(folder, option)
    others = folder_content(folder)
    if not others:
        return
    marker = folder / REPORT_FILE
    advice = 'Name a new or an empty folder, such as one below it.'
    if not marker.is_file():
        raise ConfigError(f'{option} {folder}: the folder holds other files (first: {others[0].name}). {advice}')
    try:
        content = read_json(marker)
        fault = shape_fault(content, _RUN_SHAPE) or (content['format'] != _FORMAT and 'it has another format')
    except DataError as error:
        fault = str(error)
    if fault:
        raise ConfigError(f'{option} {folder}: its {REPORT_FILE} is not of a report ({fault}). {advice}')


def read_entries(folder: Path) -> dict[str, dict[str, Any]]:
    """Entries of the list of videos, by name.

    Args:
        folder (Path): Folder of the report.

    Raises:
        DataError: An entry is damaged.
    """
    entries = {}
    for path in sorted((folder / 'entries').glob('*.json')):
        entry = read_json(path)
        if fault := shape_fault(entry, _ENTRY_SHAPE):
            raise DataError(f'{path} is not an entry of a report: {fault}. Remove the file')
        # Links follow from the file's name, so an entry cannot lead elsewhere.
        entry['page'] = f'pages/{path.stem}.html'
        entry['strip'] = f'thumbs/{path.stem}/strip.jpg' if entry.get('strip') else None
        entries[entry['name']] = entry
    return entries


def thumb_frames(events: Sequence[Event]) -> list[int]:
    """Peaks of the events with the highest scores, ascending."""
    highest = sorted(events, key=lambda event: -event.score)[:_MOST_THUMBS]
    return sorted({event.peak for event in highest})


def _same(old: dict[str, Any], run: RunInfo) -> bool:
    """Whether a recorded run has the same config, weights, prompts, model and settings, as far as both are known."""
    known = [(old.get(name) or '', getattr(run, name)) for name in ('weights', 'settings')]
    if any(before and now and before != now for before, now in known):
        return False
    return (
        old.get('config') == run.config
        and old.get('checkpoint') == run.checkpoint
        and old.get('model') == run.model
        and list(old.get('prompts') or []) == list(run.prompts)
    )


def _stamp(result: VideoResult) -> list[Any]:
    """Identity of a source: path, size, time of change, of a folder also the rate; empty if it does not exist."""
    try:
        stat = os.stat(result.path)
    except OSError:
        return []
    rate = [result.fps] if os.path.isdir(result.path) else []
    return [readable(os.path.abspath(result.path)), stat.st_size, stat.st_mtime_ns, *rate]


def _for_script(entry: dict[str, Any]) -> dict[str, Any]:
    shown = {key: entry[key] for key in ('name', 'page', 'score', 'events', 'duration_s', 'error')}
    return {**shown, 'labels': _classes(entry)}


def _classes(entry: dict[str, Any]) -> list[str]:
    """Classes by which the list is filtered: those of the events and the true one."""
    return list(dict.fromkeys([*entry['labels'], *filter(None, [entry.get('true_class')])]))
