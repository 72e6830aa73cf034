"""What a scorer returns for a video, before events are looked for."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vadlab.structures.video_result import VideoResult

from .video_inputs import VideoSource

if TYPE_CHECKING:
    from mmengine.structures import InstanceData


@dataclass
class ScoredVideo:
    """Scores of one video; the fields are those of :class:`~vadlab.structures.video_result.VideoResult`.

    Attributes:
        source (VideoSource): The video.
        error (str | None): Why it could not be scored; the other fields are then unused.
        boxes (InstanceData | None): All boxes of a method that finds objects, not only those of events.
        answers (InstanceData | None): ``pred_answers`` of a method that asks a model.
    """

    source: VideoSource
    fps: float = 1.0
    size: tuple[int, int] = (0, 0)
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0))
    times: np.ndarray = field(default_factory=lambda: np.zeros(0))
    frame_inds: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    classes: tuple[str, ...] = ()
    class_scores: np.ndarray | None = None
    error: str | None = None
    boxes: 'InstanceData | None' = None
    answers: 'InstanceData | None' = None

    def result(self) -> VideoResult:
        """A result without events."""
        if self.error is not None:
            return VideoResult.failed(self.source.name, self.source.path, self.error)
        return VideoResult(
            self.source.name,
            self.source.path,
            self._mean_rate(),
            self.size,
            self.scores,
            self.times,
            self.frame_inds,
            self.classes,
            self.class_scores,
        )

    def _mean_rate(self) -> float:
        """Frames per second by the presentation times if the header of the file has another rate by more than 1 %."""
        span = float(self.times[-1] - self.times[0]) if len(self.times) > 1 else 0.0
        mean = (len(self.times) - 1) / span if span > 0 else self.fps
        return mean if abs(mean - self.fps) > 0.01 * self.fps else self.fps
