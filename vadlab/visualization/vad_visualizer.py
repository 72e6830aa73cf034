"""Pictures of tested videos, for files and for MMEngine's visualisation backends."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.visualization import Visualizer

from vadlab.registry import VISUALIZERS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError, DataError

from .renderers.video_picture import draw_video


@VISUALIZERS.register_module()
class VADVisualizer(Visualizer):
    """Visualizer that draws the score of every frame, the true intervals, and a strip of frames with boxes.

    Args:
        name (str): Name of this visualizer in MMEngine.
        vis_backends (list[dict] | None): MMEngine's backends for pictures and scalars.
        save_dir (str | None): Folder of these backends.
        num_tiles (int): Maximum number of frames in a strip, 1..12.
        threshold (float): Minimum score that is drawn as an alarm, 0..1.
        dpi (int): Pixels per inch; a picture is 12.8 inches wide.
        heading (bool): Write the name, class, caption and score of the video above the curve.
    """

    def __init__(
        self,
        name: str = 'visualizer',
        vis_backends: list[Any] | None = None,
        save_dir: str | None = None,
        num_tiles: int = 8,
        threshold: float = 0.5,
        dpi: int = 110,
        heading: bool = True,
    ) -> None:
        super().__init__(name=name, vis_backends=vis_backends, save_dir=save_dir)
        if not 1 <= num_tiles <= 12:
            raise ConfigError(f'num_tiles is {num_tiles}; a strip holds 1 to 12 frames')
        if not 0 <= threshold <= 1:
            raise ConfigError(f'threshold is {threshold}; a probability lies in 0..1')
        self.num_tiles = num_tiles
        self.threshold = threshold
        self.dpi = dpi
        self.heading = heading

    def render(self, frames: torch.Tensor | np.ndarray, data_sample: VADDataSample) -> np.ndarray:
        """Draw the picture of one video.

        Args:
            frames (Tensor): The sampled frames, RGB, uint8, shape (T, 3, H, W); or snippet features, floating point,
                shape (C, T, D), for which only the curve is drawn.
            data_sample (VADDataSample): Sample with ``pred_scores``; all other fields are optional.

        Returns:
            np.ndarray: RGB, uint8, shape (height, width, 3).

        Raises:
            DataError: There is no prediction, or no frame.
        """
        frames = np.asarray(frames)
        video_id = data_sample.get('video_id')
        if data_sample.get('pred_scores') is None or len(data_sample.pred_scores) == 0:
            raise DataError(f'{video_id}: nothing to draw, the sample has no pred_scores from the model')
        if frames.ndim == 3 and frames.dtype.kind == 'f':
            frames = np.zeros((0, 3, 1, 1), np.uint8)
        elif frames.ndim != 4 or frames.shape[1] != 3 or len(frames) == 0:
            raise DataError(f'{video_id}: frames have the shape {frames.shape}; expected (T, 3, H, W)')
        pictures = frames.transpose(0, 2, 3, 1)
        figure = draw_video(_plain(data_sample), pictures, self.num_tiles, self.threshold, self.heading)
        figure.set_dpi(self.dpi)
        figure.canvas.draw()
        return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]

    def add_datasample(  # type: ignore[override]
        self,
        name: str,
        image: torch.Tensor | np.ndarray,
        data_sample: VADDataSample,
        out_file: str | Path | None = None,
        step: int = 0,
    ) -> None:
        """Draw a video, and write the picture to ``out_file`` or, if that is None, to the backends.

        Args:
            name (str): Name of the picture in the backends.
            image (Tensor): The sampled frames, or snippet features, as for :meth:`render`.
            data_sample (VADDataSample): The sample to draw.
            out_file (str | Path | None): A PNG file.
            step (int): Training progress, for the backends.
        """
        picture = self.render(image, data_sample)
        if out_file is None:
            self.add_image(name, picture, step)
        else:
            from PIL import Image

            Path(out_file).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(out_file)


def _plain(sample: VADDataSample) -> dict[str, Any]:
    """Fields of a sample for :func:`draw_video`, as numpy arrays."""

    def array(owner: Any, field: str) -> np.ndarray | None:
        value = None if owner is None else owner.get(field)
        return value.detach().float().cpu().numpy() if isinstance(value, torch.Tensor) else value

    true, predicted = sample.get('gt_regions'), sample.get('pred_regions')
    intervals = array(sample, 'gt_intervals')
    frame_inds = sample.get('frame_inds')
    fields = {
        'pred_scores': array(sample, 'pred_scores'),
        'gt_intervals': np.zeros((0, 2)) if intervals is None else intervals,
        'caption': sample.get('gt_caption'),
        'region_captions': list(true.captions) if true is not None and 'captions' in true else [],
        'true_boxes': array(true, 'boxes_xyxyn'),
        'box_valid': array(true, 'box_valid'),
        'predicted_boxes': array(predicted, 'boxes_xyxyn'),
        'frame_inds': None if frame_inds is None else np.asarray(frame_inds),
    }
    fields |= {name: sample.get(name) for name in ('video_id', 'class_name', 'fps', 'ori_shape')}
    return {name: value for name, value in fields.items() if value is not None}
