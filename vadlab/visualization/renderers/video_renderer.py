from pathlib import Path
from typing import Any

import torch
from torch import nn

from vadlab.registry import RENDERERS
from vadlab.structures import VADDataSample

from ..html_report import Article, picture_name
from ..vad_visualizer import VADVisualizer
from .renderer import Renderer


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
        self.visualizer = VADVisualizer(name='test_pictures', num_tiles=num_tiles, threshold=threshold)

    def draw(self, inputs: torch.Tensor, sample: VADDataSample) -> Article:
        """Draw one video, see :meth:`Renderer.draw`; ``inputs`` are frames, uint8, shape (T, 3, H, W), or features."""
        name = str(sample.video_id)
        picture, score = picture_name(name), float(sample.pred_scores.max())
        self.visualizer.add_datasample(name, inputs.cpu(), sample, self.folder / picture)
        return Article(
            heading=name,
            pictures=[picture],
            text=sample.get('gt_caption') or '',
            label=sample.get('class_name') or '',
            verdict=f'{score:.3f}',
            alarm=score >= self.visualizer.threshold,
            order=score,
        )

    def note(self, drawn: int, total: int) -> str:
        """The sentence below the title, see :meth:`Renderer.note`."""
        return f'{drawn} videos, the highest anomaly score first.'
