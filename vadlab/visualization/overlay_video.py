"""Video with the anomaly score, events and boxes drawn into its pictures, as H.264 with the source's sound."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from av.video.reformatter import VideoReformatter
from PIL import Image, ImageDraw, ImageFont

from vadlab.datasets.video.video_index import VideoIndex, index_video
from vadlab.structures.video_result import VideoResult
from vadlab.utils.errors import DataError

from .box_frames import BoxFrames
from .renderers.video_picture import score_range
from .report.templates import clock
from .report.web_video import all_pictures, even, to_yuv, write_h264
from .text import best_font_file, drawable

LEAST_WIDTH = 480  # pixels; smaller pictures are enlarged, so that text can be read
_BACK, _INK, _MUTED, _GRID = (18, 22, 27), (231, 235, 240), (159, 171, 185), (50, 59, 70)
_SCORE, _EVENT, _TRUTH = (130, 182, 245), (255, 122, 69), (89, 194, 122)
_EVENT_BACK = (72, 41, 32)


def write_overlay_video(result: VideoResult, target: str | Path, max_side: int = 1280) -> Path:
    """Draw the score, the events and the boxes of a result into its video.

    Below the picture are the time, the score, the class of the current event, and the curve with its events (orange),
    true stretches (green) and the threshold. Frames keep their times, so a variable rate stays variable.

    Args:
        result (VideoResult): The result; its ``path`` is read again.
        target (str | Path): The mp4 file to write, atomically.
        max_side (int): Longest side of the picture, in pixels; larger ones are scaled down.

    Returns:
        Path: ``target``.

    Raises:
        DataError: The result has an error, or no frames.
        MissingFileError, DamagedVideoError: The video cannot be read.
    """
    if result.error is not None or not len(result.scores):
        raise DataError(f'{result.name}: no video to draw, since it was not scored ({result.error or "no frames"})')
    index = index_video(result.path)
    scale = min(max_side / max(index.height, index.width), max(1.0, LEAST_WIDTH / index.width))
    size = even(index.height * scale), even(index.width * scale)
    panel = _Panel(result, size[1])
    whole = size[0] + panel.height, size[1]
    write_h264(index, Path(target), lambda: _frames(result, index, size, panel), whole, result.times)
    return Path(target)


def _frames(result: VideoResult, index: VideoIndex, size: tuple[int, int], panel: '_Panel') -> Iterator[Any]:
    boxes, reformatter, count = BoxFrames(result), VideoReformatter(), len(result.scores)
    scale = size[1] / index.width, size[0] / index.height
    for number, picture in enumerate(all_pictures(index, size, count)):
        shown = boxes.at(number)
        if shown:
            image = Image.fromarray(picture)
            draw = ImageDraw.Draw(image)
            for box in shown:
                _draw_box(draw, box.corners, scale, f'{box.label} {box.score:.2f}'.strip(), size)
            picture = np.asarray(image)
        yield to_yuv(np.concatenate([picture, panel.at(number)]), reformatter)


def _draw_box(
    draw: ImageDraw.ImageDraw,
    corners: tuple[float, float, float, float],
    scale: tuple[float, float],
    text: str,
    size: tuple[int, int],
) -> None:
    x1, y1, x2, y2 = (value * scale[i % 2] for i, value in enumerate(corners))
    draw.rectangle((x1, y1, max(x2, x1), max(y2, y1)), outline=_EVENT, width=2)
    text = drawable(text)
    font = _font(text, 13)
    width, height = draw.textlength(text, font=font) + 8, 18
    left = max(min(x1, size[1] - width), 0)
    top = y1 - height if y1 >= height else y1
    draw.rectangle((left, top, left + width, top + height), fill=_EVENT)
    draw.text((left + 4, top + height / 2), text, fill=_BACK, font=font, anchor='lm')


class _Panel:
    """Strip below the picture, of a fixed height; the curve is drawn once, text and position for each frame."""

    def __init__(self, result: VideoResult, width: int) -> None:
        self._result, self._width = result, width
        self._text_height, self._curve_height = 30, 74
        self.height = self._text_height + self._curve_height
        times, scores = result.times - result.times[0], result.scores
        self._duration = max(result.duration_s - float(result.times[0]), 1e-6)
        self._x = times / self._duration * (width - 1)
        self._current: dict[int, int] = {}
        image = Image.new('RGB', (width, self.height), _BACK)
        draw = ImageDraw.Draw(image)
        bottom, top, _ = score_range(scores)
        low, high = self._text_height + 3, self.height - 16

        def y(value: float) -> float:
            return high - (min(max(value, bottom), top) - bottom) / (top - bottom) * (high - low)

        for event in result.events:
            span = self._span(event.start, event.end)
            draw.rectangle((span[0], low, span[1], high), fill=_EVENT_BACK)
            draw.rectangle((span[0], high + 3, span[1], high + 6), fill=_EVENT)
        for start, end in result.truth.tolist() if result.truth is not None else []:
            if start < len(scores):
                span = self._span(start, min(end, len(scores)))
                draw.rectangle((span[0], high + 9, span[1], high + 12), fill=_TRUTH)
        if result.threshold is not None:
            line = y(result.threshold.high)
            for x in range(0, width, 10):
                draw.line((x, line, x + 5, line), fill=_MUTED)
        draw.line((0, high + 1, width, high + 1), fill=_GRID)
        columns = np.clip(self._x.astype(np.int64), 0, width - 1)
        first = np.flatnonzero(np.diff(columns, prepend=-1))
        points = []
        for x, least, greatest in zip(
            columns[first].tolist(),
            np.minimum.reduceat(scores, first).tolist(),
            np.maximum.reduceat(scores, first).tolist(),
            strict=True,
        ):
            points += [(x, y(least)), (x, y(greatest))] if greatest > least else [(x, y(least))]
        if len(points) > 1:
            draw.line(points, fill=_SCORE, width=2)
        self._base = np.asarray(image)

    def _span(self, start: int, end: int) -> tuple[float, float]:
        x1 = float(self._x[start])
        x2 = float(self._x[end]) if end < len(self._x) else self._width - 1.0
        return x1, max(x2, x1 + 1)

    def at(self, frame: int) -> np.ndarray:
        """The strip of a frame, RGB, uint8, shape (height, width, 3)."""
        result = self._result
        event = next((e for e in result.events if e.start <= frame < e.end), None)
        image = Image.fromarray(self._base)
        draw = ImageDraw.Draw(image)
        middle = self._text_height / 2
        time_s = float(result.times[frame] - result.times[0])
        left = f'{clock(time_s)}  frame {frame}'
        draw.text((8, middle), left, fill=_MUTED, font=_font(left, 14), anchor='lm')
        text = f'{result.scores[frame]:.3f}'
        colour = _EVENT if event else _SCORE
        draw.text((self._width - 8, middle), text, fill=colour, font=_font(text, 18), anchor='rm')
        if event:
            room = self._width - 16 - draw.textlength(left, font=_font(left, 14)) - 70
            label = drawable(event.label or 'event')
            font = _font(label, 16)
            while label and draw.textlength(label, font=font) > room:
                label = f'{label[:-2].rstrip()}…' if len(label) > 2 else ''
            draw.text((self._width - 74, middle), label, fill=_INK, font=font, anchor='rm')
        x = float(self._x[frame])
        draw.line((x, self._text_height, x, self.height), fill=_INK, width=2)
        return np.asarray(image)


@functools.lru_cache(maxsize=256)
def _font(text: str, size: int) -> ImageFont.FreeTypeFont:
    return _font_file(best_font_file(text), size)


@functools.cache
def _font_file(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)
