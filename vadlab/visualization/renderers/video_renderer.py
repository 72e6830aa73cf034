import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from torch import nn

from vadlab.datasets.video.read_frames import read_frames
from vadlab.datasets.video.video_index import index_video
from vadlab.registry import RENDERERS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import DataError, MissingFileError

from ..report.file_names import picture_name
from ..report.picture_page import Article
from ..vad_visualizer import VADVisualizer
from .renderer import Renderer

TILE_HEIGHT = 240  # pixels; of frames that are decoded for a picture
BOX_COLOUR = (228, 87, 46)  # RGB


@RENDERERS.register_module(name='VADDataSample')
class VideoRenderer(Renderer):
    """Renderer of the score of every frame, the annotated intervals, and a strip of frames with boxes.

    Args:
        folder (Path): See :class:`Renderer`.
        model (nn.Module): See :class:`Renderer`.
        dataset (Any): See :class:`Renderer`.
        num_tiles (int): Maximum number of frames in a strip.
        threshold (float): Minimum score that is drawn as an alarm, 0..1.
    """

    title = 'Tested videos'

    def __init__(
        self, folder: Path, model: nn.Module, dataset: Any, num_tiles: int = 8, threshold: float = 0.5
    ) -> None:
        super().__init__(folder, model, dataset)
        self.visualizer = VADVisualizer('test_pictures', num_tiles=num_tiles, threshold=threshold, heading=False)

    def draw(self, inputs: torch.Tensor, sample: VADDataSample) -> Article:
        """Draw one video, see :meth:`Renderer.draw`; ``inputs`` are frames, uint8, shape (T, 3, H, W), or features.

        With features, or without frames, they are decoded from ``video_path``, if the sample has it.
        """
        name = str(sample.video_id)
        picture, score = picture_name(name), float(sample.pred_scores.max())
        frames, shown = inputs.cpu(), sample
        if len(frames) == 0:  # a method that reads its videos itself
            frames = torch.zeros(0, 0, 0)
        if frames.is_floating_point() and sample.get('video_path'):
            frames, shown = self._decode(frames, sample)
        self.visualizer.add_datasample(name, frames, shown, self.folder / picture)
        return Article(
            heading=name,
            pictures=[picture],
            text=sample.get('gt_caption') or '',
            label=sample.get('class_name') or '',
            verdict=f'video score {score:.3f}',
            alarm=score >= self.visualizer.threshold,
            order=score,
        )

    def _decode(self, feats: torch.Tensor, sample: VADDataSample) -> tuple[torch.Tensor, VADDataSample]:
        """Frames to show of a video whose features were tested, and the sample with their indices."""
        try:
            index = index_video(sample.video_path)
            scores = sample.pred_scores[: index.total_frames].float().cpu().numpy()
            inds = highest_frames(scores, self.visualizer.num_tiles)
            size = TILE_HEIGHT, max(1, round(TILE_HEIGHT * index.width / index.height))
            frames = read_frames(index, inds, size)
        except (DataError, MissingFileError) as error:
            print_log(f'The picture of {sample.video_id} shows no frames: {error}', 'current', logging.WARNING)
            return feats, sample
        draw_detections(frames, inds, sample, index.height)
        shown = sample.clone()
        shown.set_metainfo(dict(frame_inds=inds, fps=index.fps, ori_shape=(index.height, index.width)))
        return torch.from_numpy(frames).permute(0, 3, 1, 2), shown

    def note(self, drawn: int, total: int) -> str:
        """The sentence below the title, see :meth:`Renderer.note`."""
        return f'{drawn} videos, the highest anomaly score first.'


def draw_detections(frames: np.ndarray, inds: np.ndarray, sample: VADDataSample, height: int) -> None:
    """Draw the predicted boxes of frames into them: those with a reason, or all if the method gives no reasons.

    Args:
        frames (np.ndarray): RGB, uint8, shape (T, H, W, 3); changed in place.
        inds (np.ndarray): Their indices in the video, shape (T,).
        sample (VADDataSample): With or without ``pred_detections``.
        height (int): Height of the video in pixels.
    """
    found = sample.get('pred_detections')
    if found is None or not len(found.frame_inds):
        return
    import cv2

    boxes = found.boxes_xyxy.float().cpu().numpy() * (frames.shape[1] / height)
    reasons = found.get('reasons')
    for row, frame in enumerate(found.frame_inds.tolist()):
        if reasons is None or reasons[row]:
            x1, y1, x2, y2 = boxes[row].round().astype(int).tolist()
            for place in np.flatnonzero(inds == frame):
                cv2.rectangle(frames[place], (x1, y1), (x2, y2), BOX_COLOUR, 2)


def highest_frames(scores: np.ndarray, count: int) -> np.ndarray:
    """The frame with the highest score of each equal part of a video; of equal ones, as in a snippet, the middle one.

    Args:
        scores (np.ndarray): Of its frames, shape (N,), N > 0.
        count (int): How many frames at most.

    Returns:
        np.ndarray: Ascending indices, int64.

    Example:
        >>> highest_frames(np.array([0.1, 0.1, 0.1, 0.4, 0.5, 0.5]), 2).tolist()
        [1, 4]
    """
    parts = np.array_split(np.arange(len(scores)), min(count, len(scores)))
    best = [part[scores[part] == scores[part].max()] for part in parts]
    return np.array([equal[(len(equal) - 1) // 2] for equal in best], np.int64)
