"""Picture of one tested video: its score over time, and some of its frames with boxes."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from ..text import PlainTextCanvas, drawable, font_families, shortened, wrapped
from .page import Page

INK, MUTED, GRID = '#1f2933', '#69778a', '#e4e8ee'
SCORE, TRUTH = '#2563a8', '#e4572e'
REGION_COLOURS = ('#2a9d3a', '#d1349b', '#e08600', '#00909e', '#7a4fd0', '#9c6b30', '#c22f2f', '#4d7fff')
MAX_POINTS = 4000
MAX_REGIONS = 6
WIDTH_IN = 12.8
FLAT = 0.2  # scores that differ by less would be a flat line on an axis from 0 to 1


def choose_tiles(scores: np.ndarray, has_box: np.ndarray, count: int) -> np.ndarray:
    """Choose the sampled frames to show: one from each of equal parts of the video.

    Within a part, frames with a true box are preferred, then the highest score.

    Args:
        scores (np.ndarray): Score of each sampled frame, shape (T,).
        has_box (np.ndarray): Whether it has a true box, bool, shape (T,).
        count (int): Maximum number of frames.

    Returns:
        np.ndarray: Positions 0..T-1, ascending, int64.
    """
    stretches = np.array_split(np.arange(len(scores)), max(1, min(count, len(scores))))
    best = [stretch[np.lexsort((-scores[stretch], ~has_box[stretch]))[0]] for stretch in stretches if len(stretch)]
    return np.array(best, dtype=np.int64)


def envelope(scores: np.ndarray, max_points: int = MAX_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Frames and scores of a curve with the same look; for long videos, the minimum and maximum of each part."""
    if len(scores) <= max_points:
        return np.arange(len(scores)), scores
    edges = np.linspace(0, len(scores), max_points // 2 + 1).astype(np.int64)
    low, high = np.minimum.reduceat(scores, edges[:-1]), np.maximum.reduceat(scores, edges[:-1])
    return np.repeat((edges[:-1] + edges[1:]) / 2, 2), np.stack([low, high], axis=1).ravel()


def score_range(scores: np.ndarray) -> tuple[float, float, bool]:
    """Ends of the axis of a curve, and whether it is zoomed: probabilities that differ by less than ``FLAT`` are.

    Args:
        scores (np.ndarray): Of any shape, at least one.
    """
    low, high = float(np.min(scores)), float(np.max(scores))
    if low < 0 or high > 1:  # no probabilities
        return low, high if high > low else low + 1, False
    if high - low >= FLAT or high == low:
        return 0.0, 1.0, False
    return low, high, True


def draw_video(
    sample: dict[str, Any], frames: np.ndarray, num_tiles: int = 8, threshold: float = 0.5, heading: bool = True
) -> Figure:
    """Draw the picture of one video.

    Args:
        sample (dict): Numpy arrays and plain values, all optional except ``pred_scores``: ``pred_scores`` (N,),
            ``gt_intervals`` (K, 2), ``frame_inds`` (T,), ``fps``, ``video_id``, ``class_name``, ``caption``,
            ``ori_shape``, ``region_captions`` (R), ``true_boxes`` and ``predicted_boxes`` (R, T, 4) in ``xyxyn``,
            ``box_valid`` (R, T).
        frames (np.ndarray): The sampled frames, RGB, uint8, shape (T, H, W, 3); with T = 0 there is no strip.
        num_tiles (int): Maximum number of frames to show.
        threshold (float): Threshold to draw as a line, 0..1.
        heading (bool): Write name, class, caption and score above the curve; False where the page around the picture
            does.

    Returns:
        Figure: On an Agg canvas.
    """
    scores = np.asarray(sample['pred_scores'], dtype=np.float64)
    frame_inds = np.asarray(sample.get('frame_inds', np.linspace(0, len(scores) - 1, len(frames))), dtype=np.int64)
    frame_inds = frame_inds[: len(frames)]
    sample = {**sample, 'frame_inds': frame_inds}
    captions = list(sample.get('region_captions') or [])
    valid = np.asarray(sample.get('box_valid', np.zeros((len(captions), len(frames)))), dtype=bool)
    valid = valid.reshape(len(captions), -1)[:, : len(frames)] if captions else np.zeros((0, len(frames)), bool)
    tiles = choose_tiles(scores[frame_inds.clip(0, len(scores) - 1)], np.asarray(valid.any(axis=0)), num_tiles)
    height, width = sample.get('ori_shape') or (frames.shape[1:3] if len(frames) else (9, 16))

    caption = wrapped(drawable(sample.get('caption') or '')[:1000], _narrower_than(WIDTH_IN - 0.85, 10.5), 2)
    listed = min(len(captions), MAX_REGIONS) + (len(captions) > MAX_REGIONS)
    # All positions are in inches from the top, so that parts do not overlap.
    step = (WIDTH_IN - 0.85 + 0.08) / num_tiles
    tile_h = min((step - 0.08) * height / width, 2.6)
    tile_w = tile_h * width / height  # narrower than a step for upright videos
    # There is space for the seconds above the curve, and for the legend below it.
    head, curve, gap = 0.72 + 0.24 * len(caption) if heading else 0.1, 1.75, 0.62
    head += 0.35 if sample.get('fps') else 0.05
    strip = 0.4 + tile_h if len(tiles) else 0.0
    foot = (0.25 if strip else 0.0) + (0.24 * listed + 0.1 if listed else 0)
    total = head + curve + gap + strip + foot
    page = Page(WIDTH_IN, total, INK)
    figure, box, write = page.figure, page.box, page.write

    if heading:
        title = shortened(drawable(str(sample.get('video_id', ''))), _narrower_than(WIDTH_IN - 5.5, 14.5))
        # A bold font may have fewer characters than the regular one.
        write(0.55, 0.45, title, fontsize=14, fontweight='bold' if title.isascii() else 'normal')
        highest = float(scores.max())
        write(
            WIDTH_IN - 0.3,
            0.45,
            f'video score {highest:.3f}',
            fontsize=13,
            ha='right',
            color=TRUTH if highest >= threshold else SCORE,
        )
        class_name = sample.get('class_name')
        if class_name:
            write(
                WIDTH_IN - 2.6,
                0.45,
                shortened(drawable(str(class_name)), _narrower_than(2.2, 13)),
                fontsize=13,
                ha='right',
                color=MUTED,
            )
        for i, line in enumerate(caption):
            write(0.55, 0.78 + 0.24 * i, line, color=MUTED, fontsize=10.5)

    axes = figure.add_axes(box(0.55, head, WIDTH_IN - 0.85, curve))
    _draw_curve(axes, scores, sample, frame_inds[tiles], threshold)

    top = head + curve + gap + 0.4
    shape = (height, width)
    for i, tile in enumerate(tiles):
        axes = figure.add_axes(box(0.55 + i * step, top, tile_w, tile_h))
        _draw_tile(axes, frames[tile], sample, int(tile), captions, valid, shape)
        frame = int(frame_inds[tile])
        fps = sample.get('fps')
        when = f'{frame / fps:.1f} s' if fps else ''
        left = 0.55 + i * step
        score = scores[min(frame, len(scores) - 1)]
        write(left, top - 0.25, f'{i + 1}', fontsize=9, fontweight='bold')
        write(left + 0.16, top - 0.25, f'frame {frame}', fontsize=8, color=MUTED)
        write(left, top - 0.08, when, fontsize=8, color=MUTED)
        write(
            left + tile_w,
            top - 0.08,
            f'{score:.2f}',
            fontsize=9,
            ha='right',
            color=TRUTH if score >= threshold else SCORE,
        )

    below = head + curve + gap + strip + (0.3 if strip else 0.05)
    for i, text in enumerate(captions[:MAX_REGIONS]):
        colour = REGION_COLOURS[i % len(REGION_COLOURS)]
        write(0.55, below + 0.24 * i, '■', color=colour, fontsize=11)
        write(0.78, below + 0.24 * i, shortened(drawable(text)[:1000], _narrower_than(WIDTH_IN - 4, 10)))
    if len(captions) > MAX_REGIONS:
        write(0.78, below + 0.24 * MAX_REGIONS, f'and {len(captions) - MAX_REGIONS} more', color=MUTED)
    if captions:
        handles: list[Any] = [Line2D([], [], color=INK, lw=2, label='true box')]
        if sample.get('predicted_boxes') is not None:
            handles.append(Line2D([], [], color=INK, lw=1.6, ls=(0, (3, 1.5)), label='predicted box'))
        figure.legend(
            handles=handles,
            loc='upper right',
            bbox_to_anchor=(1 - 0.3 / WIDTH_IN, 1 - (below - 0.16) / total),
            ncols=len(handles),
            frameon=False,
            fontsize=9,
            borderaxespad=0,
        )
    return figure


def _narrower_than(width_in: float, size: float) -> Callable[[str], bool]:
    """A function that returns whether a text in a font size is narrower than ``width_in`` inches."""
    renderer = PlainTextCanvas(Figure(dpi=100)).get_renderer()
    font = FontProperties(family=font_families(), size=size)
    return lambda text: renderer.get_text_width_height_descent(text, font, ismath=False)[0] <= width_in * 100


def _draw_curve(axes: Axes, scores: np.ndarray, sample: dict[str, Any], shown: np.ndarray, threshold: float) -> None:
    """Draw the score of every frame, with true intervals shaded and the shown frames numbered."""
    intervals = np.asarray(sample.get('gt_intervals', ())).reshape(-1, 2)
    for start, end in intervals:
        axes.axvspan(start, end, color=TRUTH, alpha=0.16, lw=0)
    x, y = envelope(scores)
    low, high, zoomed = score_range(scores)
    axes.fill_between(x, y, low if zoomed else 0.0, color=SCORE, alpha=0.12, lw=0)
    axes.plot(x, y, color=SCORE, lw=1.4, solid_joinstyle='round')
    shows_threshold = not zoomed or low <= threshold <= high
    if shows_threshold:
        axes.axhline(threshold, color=MUTED, lw=0.8, ls=(0, (4, 3)))
    last = max(len(scores) - 1, 1)
    at = shown.clip(0, len(scores) - 1)
    axes.plot(at, scores[at], 'o', ms=4.5, color='white', mec=SCORE, mew=1.3, clip_on=False, zorder=5)
    _number_points(axes, at, scores[at], last, np.inf if zoomed else 0.85)
    # A small margin, since the frame of the axes would hide scores of exactly 0 and 1.
    room = high - low
    axes.set(xlim=(0, last), ylim=(low - 0.02 * room, high + 0.04 * room))
    if zoomed:
        axes.set_ylim(low - 0.05 * room, high + 0.2 * room)  # numbers of the frames stand above the points
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
    else:
        axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel(
        'score (zoomed)' if zoomed else 'anomaly score', color=MUTED, fontsize=9, labelpad=1 if zoomed else 4
    )
    axes.set_xlabel('frame', color=MUTED, fontsize=9, labelpad=2)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True))
    axes.grid(axis='y', color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=8.5, length=3)
    if zoomed:
        axes.tick_params(axis='y', labelsize=7.5, pad=1)  # up to four decimals beside the label
    for side in ('top', 'right'):
        axes.spines[side].set_visible(False)
    for side in ('left', 'bottom'):
        axes.spines[side].set_color('#b5bfcc')
    fps = sample.get('fps')
    if fps:
        seconds = axes.secondary_xaxis('top', functions=(lambda f: f / fps, lambda s: s * fps))
        seconds.tick_params(colors=MUTED, labelsize=8.5, length=3)
        seconds.spines['top'].set_color(GRID)
        axes.annotate(
            's', (1, 1), xytext=(6, 9), textcoords='offset points', xycoords='axes fraction', color=MUTED, fontsize=9
        )
    handles: list[Any] = [Line2D([], [], color=SCORE, lw=1.4, label='score')]
    if len(intervals):
        handles.append(Patch(color=TRUTH, alpha=0.16, lw=0, label='truly anomalous'))
    if zoomed:
        handles[0].set_label(f'score, zoomed to {low:.3f}..{high:.3f}')
    side = '' if shows_threshold else ' (above)' if threshold > high else ' (below)'
    handles.append(Line2D([], [], color=MUTED, lw=0.8, ls=(0, (4, 3)), label=f'threshold {threshold:g}{side}'))
    axes.legend(
        handles=handles,
        loc='upper right',
        bbox_to_anchor=(1, -0.15),
        ncols=3,
        frameon=False,
        fontsize=9,
        borderaxespad=0,
    )


def _number_points(axes: Axes, x: np.ndarray, y: np.ndarray, last: int, top: float) -> None:
    """Write the tile's number above each point, below it if higher than ``top``; close numbers move sideways."""
    before = -np.inf
    for i, (frame, score) in enumerate(zip(x, y, strict=True)):
        close = frame - before < 0.012 * last
        offset = (4 if close else 0, -12 if score > top else 6)
        axes.annotate(
            str(i + 1),
            (frame, score),
            xytext=offset,
            textcoords='offset points',
            ha='left' if close else 'center',
            fontsize=8,
            fontweight='bold',
            color=INK,
            zorder=6,
        )
        before = frame


def _draw_tile(
    axes: Axes,
    frame: np.ndarray,
    sample: dict[str, Any],
    tile: int,
    captions: list[str],
    valid: np.ndarray,
    shape: tuple[int, int],
) -> None:
    """Draw a frame in the video's aspect ratio; per region with a true box, both the true and the predicted box."""
    height, width = shape
    axes.imshow(frame, extent=(0, width, height, 0), aspect='auto', interpolation='antialiased')
    axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    inside = any(
        start <= sample['frame_inds'][tile] < end for start, end in np.reshape(sample.get('gt_intervals', ()), (-1, 2))
    )
    for spine in axes.spines.values():
        spine.set(color=TRUTH if inside else '#b5bfcc', linewidth=1.8 if inside else 0.8)
    for region in np.flatnonzero(valid[:, tile]):
        colour = REGION_COLOURS[region % len(REGION_COLOURS)]
        for name, style in (('true_boxes', {'lw': 2.2}), ('predicted_boxes', {'lw': 1.8, 'ls': (0, (3, 1.5))})):
            if sample.get(name) is None:
                continue
            # The frame's border would hide a side of the box on it.
            box = np.asarray(sample[name][region][tile]).clip(0.01, 0.99)
            x1, y1, x2, y2 = box * [width, height, width, height]
            axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=colour, **style))
