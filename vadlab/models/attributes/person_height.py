import re
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.logging import MMLogger

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

from ..densities.fitted_module import FittedModule

_LEAST = 20  # boxes for a line
_MOST = 5000
_ALL = ''  # the scene of clips whose own one has too few boxes


@MODELS.register_module()
class PersonHeight(FittedModule):
    r"""Height of a person in the picture, by the row of the feet: a robust line fit to training boxes.

    For a fixed camera over flat ground, a person's height is a linear function of the row. The fit uses boxes of the
    detector's class ``person``; without classes, it uses upright boxes (1.3 to 4 times as high as wide). Boxes at the
    border are cut off and not used. If the fitted height does not grow downwards, the median height of the boxes is
    used everywhere.

    Args:
        person (str): Name of the class.
        score_thr (float): Minimum confidence of boxes, 0..1.
        scene_pattern (str | None): Regular expression for the camera in a clip's name, as its first group, such as
            ``r'(\d+)_'`` for ShanghaiTech; each camera gets its own line. None: one camera.

    Raises:
        ConfigError: ``scene_pattern`` is not a regular expression with a group.
    """

    def __init__(self, person: str = 'person', score_thr: float = 0.4, scene_pattern: str | None = None) -> None:
        super().__init__(lines=torch.float64, scene_names=torch.uint8)
        try:
            self._pattern = re.compile(scene_pattern) if scene_pattern else None
        except re.error as error:
            raise ConfigError(f'PersonHeight: scene_pattern={scene_pattern!r}: {error}') from error
        if self._pattern and not self._pattern.groups:
            raise ConfigError(f'PersonHeight: scene_pattern={scene_pattern!r} has no group, such as (\\d+)')
        self.person, self.score_thr = person, score_thr

    def scene_of(self, clip: str) -> str:
        """Camera of a clip, by its name."""
        match = self._pattern.match(clip) if self._pattern else None
        return (match[1] or _ALL) if match else _ALL

    def fit(
        self,
        clips: Sequence[str],
        clip_inds: np.ndarray,
        boxes: np.ndarray,
        class_scores: np.ndarray,
        classes: Sequence[str],
        sizes: np.ndarray,
    ) -> None:
        """Fit a line for each camera.

        Args:
            clips (Sequence[str]): Names of the clips.
            clip_inds (np.ndarray): Clip of each box, shape (M,).
            boxes (np.ndarray): xyxy, pixels, shape (M, 4).
            class_scores (np.ndarray): Shape (M, C).
            classes (Sequence[str]): Names of the C classes.
            sizes (np.ndarray): Height and width of each box's frame, shape (M, 2).
        """
        width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        inside = (boxes[:, 0] > 1) & (boxes[:, 1] > 1)
        inside &= (boxes[:, 2] < sizes[:, 1] - 1) & (boxes[:, 3] < sizes[:, 0] - 1)
        if self.person in classes:
            column = classes.index(self.person)
            good = (class_scores.argmax(axis=1) == column) & (class_scores[:, column] >= self.score_thr) & inside
        else:
            good = (height >= 1.3 * width) & (height <= 4 * width) & inside
        scenes = np.array([self.scene_of(clip) for clip in clips], object)[clip_inds]
        names = [_ALL, *sorted(set(scenes) - {_ALL})]
        lines: list[tuple[float, float, float]] = []
        for name in names:
            own = good if name == _ALL else good & (scenes == name)
            if own.sum() < _LEAST and name != _ALL:
                lines.append(lines[0])
            elif own.sum() < _LEAST:
                median = float(np.median(height)) if len(height) else 1.0
                lines.append((0.0, max(median, 1.0), max(median, 1.0)))
                MMLogger.get_current_instance().warning(
                    f'PersonHeight: only {int(own.sum())} boxes show a whole person, at least {_LEAST} are needed: the '
                    f'median height of all objects, {median:.0f} pixels, counts everywhere'
                )
            else:
                lines.append(_line(boxes[own, 3], height[own]))
        self.lines = torch.tensor(lines, dtype=torch.float64)
        self.scene_names = torch.tensor(list('\n'.join(names).encode()), dtype=torch.uint8)

    def heights(self, clip: str, boxes: np.ndarray) -> np.ndarray:
        """Height of a person at the foot of each box, in pixels, at least a quarter of the camera's median.

        Args:
            clip (str): Name of the clip.
            boxes (np.ndarray): Shape (M, 4).
        """
        names = bytes(self.scene_names.tolist()).decode().split('\n')
        scene = self.scene_of(clip)
        slope, base, median = self.lines[names.index(scene) if scene in names else 0].tolist()
        return np.maximum(slope * boxes[:, 3].astype(np.float64) + base, median / 4)


def _line(feet: np.ndarray, heights: np.ndarray) -> tuple[float, float, float]:
    """Slope and base of the line, and the median height."""
    from sklearn.linear_model import HuberRegressor

    step = -(-len(feet) // _MOST)
    feet, heights = feet[::step].astype(np.float64), heights[::step].astype(np.float64)
    median = float(np.median(heights))
    if feet.std() < 1:
        return 0.0, median, median
    shift, scale = feet.mean(), feet.std()
    try:
        model = HuberRegressor(max_iter=500).fit(((feet - shift) / scale)[:, None], heights)
    except ValueError:  # it did not converge
        return 0.0, median, median
    slope = float(model.coef_[0]) / scale
    if slope < 0:
        return 0.0, median, median
    return slope, float(model.intercept_) - slope * shift, median
