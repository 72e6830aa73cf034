"""Picture of one input sample: frames, boxes and captions, without predictions."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from vadlab.structures import VADDataSample

from ..text import PlainTextCanvas, drawable, font_families
from .video_picture import INK, MUTED, REGION_COLOURS, TRUTH

_COLUMNS = 8
_WIDTH_IN = 14.0
_CHARACTERS = 150  # per line of a caption


def draw_sample(frames: np.ndarray, sample: VADDataSample, max_frames: int = 16) -> np.ndarray:
    """Draw frames in rows, with the boxes of all regions, and the captions below.

    Frames in an anomalous interval have a thick red border.

    Args:
        frames: RGB, uint8, shape (T, H, W, 3).
        sample: Ground truth of these frames.
        max_frames: Maximum number of frames to show, evenly spaced, >= 1.

    Returns:
        RGB, uint8, shape (height, width, 3).
    """
    shown = np.unique(np.linspace(0, len(frames) - 1, min(max_frames, len(frames))).round().astype(int))
    rows = -(-len(shown) // _COLUMNS)
    regions = sample.gt_regions
    height, width = sample.get('ori_shape') or frames.shape[1:3]
    cell_w = (_WIDTH_IN - 0.4) / _COLUMNS
    cell_h = min(cell_w * height / width, 3.0) + 0.25
    head = 0.75
    total = head + rows * cell_h + 0.15 + 0.22 * len(regions.captions)
    figure = Figure(figsize=(_WIDTH_IN, total), dpi=100, facecolor='white')
    canvas = PlainTextCanvas(figure)

    def write(x: float, y: float, text: str, size: float, colour: str) -> None:
        line = drawable(text)
        line = line if len(line) <= _CHARACTERS else line[: _CHARACTERS - 1] + '…'
        place = (x / _WIDTH_IN, 1 - y / total)
        figure.text(*place, line, fontsize=size, color=colour, fontfamily=font_families())

    class_name = sample.get('class_name') or ('unknown anomaly' if sample.gt_label < 0 else 'Normal')
    intervals = ', '.join(f'{start}..{end - 1}' for start, end in sample.gt_intervals.tolist()) or 'none'
    title = f'{sample.video_id}   {class_name}   {sample.total_frames} frames, anomalous: {intervals}'
    write(0.2, 0.3, title, 12, INK)
    write(0.2, 0.58, sample.gt_caption or '(no caption)', 11, MUTED)

    for place, slot in enumerate(shown):
        row, column = divmod(place, _COLUMNS)
        frame_ind = int(sample.frame_inds[slot])
        left, top = 0.2 + column * cell_w, head + row * cell_h
        box = (left / _WIDTH_IN, 1 - (top + cell_h) / total, 0.97 * cell_w / _WIDTH_IN, (cell_h - 0.25) / total)
        axes = figure.add_axes(box)
        axes.imshow(frames[slot], extent=(0, 1, 1, 0), aspect='auto')
        axes.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[])
        axes.set_title(f'frame {frame_ind}', fontsize=8, color=MUTED, pad=2, loc='left')
        anomalous = any(start <= frame_ind < end for start, end in sample.gt_intervals.tolist())
        for spine in axes.spines.values():
            spine.set(color=TRUTH if anomalous else MUTED, linewidth=2.5 if anomalous else 0.5)
        for region in np.flatnonzero(regions.box_valid[:, slot].numpy()):
            x1, y1, x2, y2 = regions.boxes_xyxyn[region, slot].tolist()
            colour = REGION_COLOURS[region % len(REGION_COLOURS)]
            axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=colour, lw=2))

    for region, caption in enumerate(regions.captions):
        n_boxes = int(regions.box_valid[region].sum())
        y = head + rows * cell_h + 0.2 + 0.22 * region
        write(0.2, y, f'{caption}  ({n_boxes} boxes)', 10, REGION_COLOURS[region % len(REGION_COLOURS)])
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
