"""Picture of one classified clip: frames, spectrogram, attention and predicted classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from ..text import drawable, font_families, shortened
from .page import Page
from .video_picture import GRID, INK, MUTED, SCORE, TRUTH, WIDTH_IN, _narrower_than

_LEFT, _RIGHT = 0.75, 3.9  # inches: width of the axis of bands, of the column with the classes
_SOUND = LinearSegmentedColormap.from_list('sound', ['#10141c', '#33415c', '#7d8fb3', '#f4f6fb'])
_LOOK = LinearSegmentedColormap.from_list('look', [(0.894, 0.341, 0.18, 0.0), (0.894, 0.341, 0.18, 0.85)])


@dataclass(frozen=True)
class HeadDecision:
    """Prediction of one head for a clip.

    Attributes:
        name (str): Name of the head.
        classes (Sequence[str]): Names of the C classes.
        scores (np.ndarray): Probabilities, shape (C,).
        truth (Sequence[int]): Indices of the true classes; empty if unknown.
    """

    name: str
    classes: Sequence[str]
    scores: np.ndarray
    truth: Sequence[int] = ()

    @property
    def right(self) -> bool:
        """Whether the most probable class is true."""
        return int(np.argmax(self.scores)) in self.truth


@dataclass(frozen=True)
class AVClipPicture:
    """Content of the picture.

    Attributes:
        clip_id (str): Id of the clip, the title of the picture.
        frames (np.ndarray): Input frames of the model, RGB, uint8, shape (T, H, W, 3).
        times (np.ndarray): Presentation times of the frames, seconds, shape (T,).
        duration (float): Duration of the clip, seconds.
        heads (Sequence[HeadDecision]): Predictions of the heads, at least one.
        spectrogram (np.ndarray | None): Shape (F, L), low bands first; None for a clip without sound.
        audio_span (tuple[float, float]): Start and end of the spectrogram, seconds.
        attention (Mapping[str, np.ndarray]): ``video`` of shape (T',), ``audio`` of shape (F', L'); both optional.
        note (str): Text beside the title.
    """

    clip_id: str
    frames: np.ndarray
    times: np.ndarray
    duration: float
    heads: Sequence[HeadDecision]
    spectrogram: np.ndarray | None = None
    audio_span: tuple[float, float] = (0.0, 1.0)
    attention: Mapping[str, np.ndarray] = field(default_factory=dict)
    note: str = ''


def draw_av_clip(clip: AVClipPicture, num_tiles: int = 6, num_classes: int = 6, heading: bool = True) -> Figure:
    """Draw the picture: frames above the spectrogram, on one time axis, and the heads' probabilities beside them.

    Args:
        clip (AVClipPicture): Content of the picture.
        num_tiles (int): Maximum number of frames.
        num_classes (int): Maximum number of classes per head: the most probable ones and the true ones.
        heading (bool): Write the name and the decisions; False where the page around the picture does.

    Returns:
        Figure: On an Agg canvas.
    """
    wide = WIDTH_IN - _LEFT - _RIGHT
    tiles = np.unique(np.linspace(0, len(clip.frames) - 1, min(num_tiles, len(clip.frames))).round().astype(int))
    step = wide / len(tiles)
    height, width = clip.frames.shape[1:3]
    tile_h = min((step - 0.08) * height / width, 2.0)
    look_h = 0.55 if 'video' in clip.attention else 0.0
    sound_h = 1.6 if clip.spectrogram is not None else 0.5
    head, gap = 0.75 if heading else 0.35, 0.14
    lists = [min(num_classes, len(h.classes)) for h in clip.heads]
    total = max(head + tile_h + gap + look_h + gap + sound_h + 0.62, head + sum(0.5 + 0.23 * n for n in lists) + 0.1)
    page = Page(WIDTH_IN, total, INK)
    figure, box = page.figure, page.box

    def write(x: float, y: float, text: str, **style: Any) -> None:
        page.write(x, y, drawable(text), **style)

    if heading:
        title = shortened(drawable(clip.clip_id), _narrower_than(wide - 2.5, 14.5))
        write(_LEFT, 0.36, title, fontsize=14, fontweight='bold' if title.isascii() else 'normal')
        write(_LEFT + wide, 0.36, clip.note, ha='right', color=MUTED)

    for place, tile in enumerate(tiles):
        left = _LEFT + place * step
        axes = figure.add_axes(box(left, head, min(step - 0.08, tile_h * width / height), tile_h))
        axes.imshow(clip.frames[tile], interpolation='antialiased', aspect='auto')
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(color='#b5bfcc', linewidth=0.8)
        write(left, head - 0.07, f'{clip.times[tile]:.2f} s', fontsize=8.5, color=MUTED)

    top = head + tile_h + gap
    if look_h:
        _draw_look(figure.add_axes(box(_LEFT, top, wide - 0.08, look_h)), clip, tiles)
        top += look_h + gap
    _draw_sound(figure.add_axes(box(_LEFT, top, wide - 0.08, sound_h)), clip)

    top, left = head - 0.1, WIDTH_IN - _RIGHT + 0.25
    for decision in clip.heads:
        best = int(np.argmax(decision.scores))
        said = f'{decision.classes[best]} {decision.scores[best]:.2f}'
        colour = MUTED if not decision.truth else SCORE if decision.right else TRUTH
        write(left, top + 0.06, decision.name, color=MUTED, fontsize=9.5)
        if heading:
            write(WIDTH_IN - 0.3, top + 0.06, said, ha='right', color=colour, fontsize=11, fontweight='bold')
        shown = min(num_classes, len(decision.classes))
        _draw_classes(figure.add_axes(box(left + 1.55, top + 0.16, _RIGHT - 2.15, 0.23 * shown)), decision, shown)
        top += 0.5 + 0.23 * shown
    return figure


def _draw_look(axes: Axes, clip: AVClipPicture, tiles: np.ndarray) -> None:
    """Draw the attention to each group of frames, relative to uniform attention."""
    weights = np.asarray(clip.attention['video'], dtype=np.float64)
    weights = weights / max(weights.mean(), 1e-12)
    # The frames are evenly spaced in a row, and so are their groups.
    edges = np.linspace(0, 1, len(weights) + 1)
    axes.stairs(weights, edges, fill=True, color=TRUTH, alpha=0.35)
    axes.stairs(weights, edges, color=TRUTH, lw=1.2)
    axes.axhline(1, color=MUTED, lw=0.8, ls=(0, (4, 3)))
    axes.set(xlim=(0, 1), ylim=(0, max(1.25, 1.1 * float(weights.max()))), xticks=[], yticks=[0, 1])
    axes.set_yticklabels(['0', 'even'])
    _quiet(axes)
    axes.set_ylabel('look', color=MUTED, fontsize=9)


def _draw_sound(axes: Axes, clip: AVClipPicture) -> None:
    """Draw the spectrogram, with the attention over it."""
    if clip.spectrogram is None:
        axes.set(xticks=[], yticks=[], facecolor='#f6f8fa')
        axes.text(0.5, 0.5, 'no sound', transform=axes.transAxes, ha='center', va='center', color=MUTED)
        for spine in axes.spines.values():
            spine.set_color(GRID)
        return
    bands = len(clip.spectrogram)
    start, end = clip.audio_span
    extent = (start, end, 0.0, float(bands))
    low, high = np.percentile(clip.spectrogram, [2, 99.7])
    axes.imshow(
        clip.spectrogram,
        origin='lower',
        aspect='auto',
        extent=extent,
        cmap=_SOUND,
        vmin=low,
        vmax=max(high, low + 1e-6),
    )
    if 'audio' in clip.attention:
        weights = np.atleast_2d(np.asarray(clip.attention['audio'], dtype=np.float64))
        # Only attention above uniform is drawn; about half of all positions are below it and are not covered.
        even = weights.mean()
        axes.imshow(
            weights, origin='lower', aspect='auto', extent=extent, cmap=_LOOK, interpolation='bilinear',
            vmin=even, vmax=max(float(weights.max()), 1.5 * even),
        )  # fmt: skip
    axes.set(xlim=(0, max(clip.duration, end)), ylim=(0, bands))
    axes.set_xlabel('seconds', color=MUTED, fontsize=9, labelpad=2)
    axes.set_ylabel('mel band', color=MUTED, fontsize=9)
    _quiet(axes)


def _draw_classes(axes: Axes, decision: HeadDecision, shown: int) -> None:
    order = np.argsort(-decision.scores, kind='stable')
    chosen = list(order[:shown])
    for place, index in enumerate(t for t in decision.truth if t not in chosen):
        chosen[-1 - place % len(chosen)] = index
    rows = np.arange(len(chosen))
    colours = [SCORE if index in decision.truth else '#c3ccd8' for index in chosen]
    axes.barh(rows, decision.scores[chosen], height=0.62, color=colours)
    fits = _narrower_than(1.35, 9)
    axes.set_yticks(rows, [shortened(drawable(decision.classes[i]), fits) for i in chosen], fontfamily=font_families())
    for label, index in zip(axes.get_yticklabels(), chosen, strict=True):
        label.set(color=INK if index in decision.truth else MUTED, fontsize=9)
        label.set_fontweight('bold' if index in decision.truth else 'normal')
    axes.set(xlim=(0, 1), xticks=[])
    axes.invert_yaxis()
    axes.tick_params(length=0)
    for side in ('top', 'right', 'bottom'):
        axes.spines[side].set_visible(False)
    axes.spines['left'].set_color('#b5bfcc')


def _quiet(axes: Axes) -> None:
    axes.tick_params(colors=MUTED, labelsize=8, length=3)
    for side in ('top', 'right'):
        axes.spines[side].set_visible(False)
    for side in ('left', 'bottom'):
        axes.spines[side].set_color('#b5bfcc')
