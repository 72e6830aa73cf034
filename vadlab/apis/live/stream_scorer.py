"""Scores of live frames: the methods whose score of a frame needs no later frames, or only a few."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from vadlab.apis.inferencers.frame_scorer import FrameScorer
from vadlab.apis.inferencers.localizer import Localizer
from vadlab.apis.inferencers.pipeline_scorer import PipelineScorer
from vadlab.apis.inferencers.snippet_scorer import SnippetScorer
from vadlab.apis.inferencers.vad_inferencer import VADInferencer
from vadlab.datasets.video.pyav_reader import upright_picture
from vadlab.models.detectors.frame_window_detector import ALARM_AT
from vadlab.utils.errors import ConfigError

from .camera_reader import LiveFrame
from .zones import Zone, zone_of_boxes

_USUAL_FPS = 25.0  # for delays in words
_PROBE = 64  # snippets
#: What is usual at a camera is taken from so many of its frames, so many seconds apart.
_PAST_ROWS, _PAST_STEP_S = 600, 1.0


@dataclass(frozen=True)
class LiveScore:
    """The score of a frame.

    Attributes:
        frame (LiveFrame): The frame that the score belongs to.
        score (float): Probability of an anomaly, 0..1.
        label (str | None): The highest class or prompt that is not normal.
        reason (str): Scores of the classes, in words.
        picture (np.ndarray | None): What the model saw, RGB, uint8, shape (H, W, 3), for boxes.
        prepared (float): When frames were converted, in seconds of ``time.monotonic``.
    """

    frame: LiveFrame
    score: float
    label: str | None = None
    reason: str = ''
    picture: np.ndarray | None = field(default=None, repr=False, compare=False)
    prepared: float = 0.0


def warm_up(scorer: 'FrameStream | WindowStream') -> None:
    """Score a grey frame: the first score takes seconds, in which frames of cameras would be dropped."""
    grey = VideoFrame.from_ndarray(np.full((48, 64, 3), 127, np.uint8), 'rgb24')
    frame = LiveFrame((grey,) * scorer.context, 0, 0.0, 0.0, 0.0, (48, 64))
    for _ in range(2 * scorer.late + 1):
        scorer([('', frame)], time.monotonic)


class FrameStream:
    """Live scores by methods that embed frame by frame, such as FGCLIP.

    A ``score_window`` of w frames in the config's ``score_head`` needs the (w - 1) / 2 next scored frames. With a
    ``video_reference``, what is usual is taken from the last 10 minutes of the camera and the frame itself, one frame
    per second, instead of from the whole video.

    Args:
        inferencer (VADInferencer): The model.
    """

    context = 1

    def __init__(self, inferencer: VADInferencer) -> None:
        self.scorer: Any = inferencer.scorer
        self.model: Any = inferencer.model
        head = self.model.score_head
        if head is None:
            raise ConfigError(f'{type(self.model).__name__}: this config has no score_head, so it has no frame scores.')
        self.normal = head.normal_class
        #: Scored frames by which a score is late.
        self.late = 0 if head.cells else head.score_window // 2
        self._recent: dict[str, deque[tuple[LiveFrame, torch.Tensor, np.ndarray, float]]] = {}
        self._converters: dict[str, VideoReformatter] = {}
        self._past: dict[str, deque[tuple[float, torch.Tensor]]] = {}

    def __call__(self, frames: Sequence[tuple[str, LiveFrame]], now: Any) -> list[tuple[str, LiveScore]]:
        """Score the newest frame of some cameras together.

        Args:
            frames (Sequence[tuple[str, LiveFrame]]): Names of the cameras, and their frames.
            now (Callable): The clock.

        Returns:
            list[tuple[str, LiveScore]]: Scores, fewer than frames until the window of a camera is full.
        """
        by_size: dict[tuple[int, int], list[tuple[str, LiveFrame, np.ndarray]]] = {}
        for name, frame in frames:
            size = self.scorer.reader.size_of(*frame.size)
            picture = picture_of(frame, size, self.scorer.reader.interpolation, self._converter(name))
            by_size.setdefault(size, []).append((name, frame, picture))
        found = []
        for group in by_size.values():
            pictures = np.stack([picture for *_, picture in group])
            if self.scorer.reader.change is not None:
                pictures = self.scorer.reader.change(pictures)
            prepared = now()
            embeds = self.scorer.embed(pictures)
            for (name, frame, _), embed, picture in zip(group, embeds, pictures, strict=True):
                found += self._scored(name, frame, embed, picture, prepared)
        return found

    def _scored(
        self, name: str, frame: LiveFrame, embed: torch.Tensor, picture: np.ndarray, prepared: float
    ) -> list[tuple[str, LiveScore]]:
        length = 2 * self.late + 1
        recent = self._recent.setdefault(name, deque(maxlen=length))
        if recent and recent[-1][0].connection != frame.connection:
            recent.clear()
        recent.append((frame, embed, picture, prepared))
        if len(recent) < length:
            return []
        frame, scored, picture, prepared = recent[self.late]
        if self.model.score_head.video_reference:
            past = self._past.setdefault(name, deque(maxlen=_PAST_ROWS))
            embeds, place = torch.stack([*(row for _, row in past), scored]), len(past)
            if not past or frame.arrival - past[-1][0] >= _PAST_STEP_S:
                past.append((frame.arrival, scored))
        else:
            embeds, place = torch.stack([one[1] for one in recent]), self.late
        logits, class_scores = self.model.score_embeds(embeds)
        score = float(logits[place].float().sigmoid())
        classes = class_scores[place].float().cpu().tolist()
        label, reason = self._in_words(classes)
        return [(name, LiveScore(frame, score, label, reason, picture, prepared))]

    def _in_words(self, class_scores: Sequence[float]) -> tuple[str | None, str]:
        names = self.model.score_head.classes
        order = sorted(range(len(names)), key=lambda i: -class_scores[i])
        abnormal = [i for i in order if names[i] != self.normal]
        shown = [*abnormal[:2], *(i for i in order if names[i] == self.normal)]
        reason = ', '.join(f'{names[i]} {class_scores[i]:.2f}' for i in shown)
        return (names[abnormal[0]] if abnormal else None), reason

    def _converter(self, name: str) -> VideoReformatter:
        return self._converters.setdefault(name, VideoReformatter())


class WindowStream:
    """Live scores by one-class methods on short windows of consecutive frames, such as MNAD and MemAE.

    Args:
        inferencer (VADInferencer): The model, with ``normalisation='training'``.

    Raises:
        ConfigError: Scores are scaled by the whole clip, or the test pipeline changes frames in other ways.
    """

    def __init__(self, inferencer: VADInferencer) -> None:
        self.model: Any = inferencer.model
        name, scorer = type(self.model).__name__, inferencer.scorer
        if self.model.normalisation == 'per_clip':
            raise ConfigError(
                f'{name} with normalisation="per_clip" scales scores by the whole video, so it cannot score a live '
                'camera. Train with --cfg-options model.normalisation=training.'
            )
        if not isinstance(scorer, PipelineScorer) or scorer.streamed is None:
            raise ConfigError(f'{name}: live scores need a test pipeline that only decodes and resizes frames.')
        self.size, self.interpolation = scorer.streamed
        self.context = self.model.window
        #: Frames of the source by which a score is late.
        self.late_frames = self.model.window - 1 - self.model.scored_frame
        self.late = 0
        self._converters: dict[str, VideoReformatter] = {}

    def __call__(self, frames: Sequence[tuple[str, LiveFrame]], now: Any) -> list[tuple[str, LiveScore]]:
        """Score the newest window of some cameras; see :class:`FrameStream`."""
        found = []
        for name, frame in frames:
            converter = self._converters.setdefault(name, VideoReformatter())
            pictures = np.stack(
                [
                    picture_of(frame, self.size, self.interpolation, converter, place)
                    for place in range(len(frame.frames))
                ]
            )
            prepared = now()
            video = torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()
            logit = self.model.combine(self.model.components(video))[0]
            score = float(torch.sigmoid(logit - ALARM_AT))
            reason = f'{float(logit):.1f} standard deviations above the mean of the training'
            found.append((name, LiveScore(frame, score, None, reason, None, prepared)))
        return found


class ZoneCheck:
    """Whether an anomaly is in one of the zones of a camera: one of its boxes has its centre there.

    Args:
        inferencer (VADInferencer): The model.

    Raises:
        ConfigError: The method cannot find boxes.
    """

    def __init__(self, inferencer: VADInferencer) -> None:
        if not isinstance(inferencer.scorer, FrameScorer):
            raise ConfigError(
                f'{type(inferencer.model).__name__} finds no boxes in live frames, so zones cannot be used. Remove the '
                'zones of the cameras.'
            )
        self.localizer: Localizer = inferencer.localizer()

    def __call__(self, score: LiveScore, zones: Sequence[Zone]) -> tuple[str | None, str]:
        """The zone of the highest-scoring box in a zone, None without one; and the reason of the highest box."""
        if score.label is None or score.picture is None:
            return None, ''
        ((boxes, gains, reasons),) = self.localizer.find(score.picture[None], score.label)
        zone = zone_of_boxes(zones, boxes, gains)
        return zone, (reasons[0] if reasons else '')


def live_scorer(inferencer: VADInferencer) -> FrameStream | WindowStream:
    """The live scorer of a model.

    Raises:
        ConfigError: The method needs later frames; the message says how many.
    """
    model: Any = inferencer.model
    if isinstance(inferencer.scorer, FrameScorer):
        return FrameStream(inferencer)
    if hasattr(model, 'float_windows'):
        return WindowStream(inferencer)
    raise ConfigError(why_not_live(model, inferencer.scorer))


def why_not_live(model: Any, scorer: Any) -> str:
    """Why a method cannot score a live camera, and how much delay its scores would have."""
    name = type(model).__name__
    advice = 'Use a method that scores frames, such as FGCLIP, or score recordings: python tools/infer.py.'
    if isinstance(scorer, SnippetScorer):
        later = look_ahead(model, scorer.extraction.model.feature_dim)
        span_s = model.snippet_len / _USUAL_FPS
        most = getattr(model, 'max_snippets', None)
        if later == 0:
            need = f'scores snippets of {model.snippet_len} frames, {span_s:.2g} s late at 25 frames per second'
        elif most is not None:
            need = (
                f'compares each snippet with all others of a part of {most} snippets, so its scores would be up to '
                f'{most * span_s:.0f} s late at 25 frames per second'
            )
        else:
            need = 'compares each snippet with later ones up to the end of the video, so it has no score before it'
        return f'{name} {need}. Live scores of snippet methods are not supported. {advice}'
    if hasattr(model, 'expected'):
        return (
            f'{name} asks a vision-language model about windows of a video, and refines the answers with those of the '
            f'whole video, so it has no score before the end. {advice}'
        )
    return f'{name} measures the objects or the motion of whole clips. Live scores of it are not supported. {advice}'


def look_ahead(model: Any, channels: int, snippets: int = _PROBE) -> int:
    """Number of later snippets on which the score of a snippet depends, measured by changing features.

    Args:
        model (nn.Module): A snippet method.
        channels (int): Of its features.
        snippets (int): Length of the video that is tried; a method that returns almost as many depends on all.
    """
    generator = torch.Generator().manual_seed(0)
    feats = torch.randn(1, snippets, channels, generator=generator)
    mask = torch.ones(1, snippets, dtype=torch.bool)
    device = next((p.device for p in model.parameters()), torch.device('cpu'))
    later = 0
    with torch.inference_mode():
        before = _outputs(model, feats.to(device), mask.to(device))
        for changed in (snippets - 1, *range(snippets // 2, snippets // 2 + 4)):
            other = feats.clone()
            other[0, changed] = torch.randn(channels, generator=generator)
            after = _outputs(model, other.to(device), mask.to(device))
            moved = torch.nonzero(before != after).flatten()
            later = max(later, changed - int(moved[0]) if len(moved) else 0)
    return later


def _outputs(model: Any, feats: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    out = model.score(feats, mask)
    return next(out[key] for key in ('odds', 'logits', 'scores') if key in out)[0].float().cpu()


def picture_of(
    frame: LiveFrame, size: tuple[int, int], interpolation: str, converter: VideoReformatter, place: int = -1
) -> np.ndarray:
    """A frame as the readers of files deliver it, RGB, uint8, shape (H, W, 3).

    Args:
        frame (LiveFrame): The frame.
        size (tuple[int, int]): Height and width H, W.
        interpolation (str): A swscale method, such as ``bicubic``.
        converter (VideoReformatter): Reused, one per camera.
        place (int): Which of the consecutive frames.
    """
    return upright_picture(frame.frames[place], frame.orientation, size, interpolation, converter)
