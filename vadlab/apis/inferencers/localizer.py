"""Where in the frames an event is: boxes, tracks and heat maps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData

from vadlab.datasets.video import index_video, read_frames
from vadlab.evaluation.functional.box_tracks import link_boxes
from vadlab.structures.video_result import Event, VideoResult
from vadlab.utils.errors import ConfigError

from .frame_scorer import FrameScorer
from .video_inputs import VideoSource

_AT_ONCE = 16  # frames whose patch grids are in memory together


class Localizer:
    """Finds boxes of events with a model whose patch features are in the joint space with texts, such as FGCLIP.

    Args:
        model (nn.Module): The model, with a ``grounding_head``.
        scorer (FrameScorer): Its scorer, which reads frames.
        most_frames (int): Most sampled frames of an event in which boxes are searched, evenly spaced.
        most_boxes (int): Most boxes per frame.

    Raises:
        ConfigError: The model has no grounding head.
    """

    def __init__(self, model: Any, scorer: Any, most_frames: int = 64, most_boxes: int = 3) -> None:
        if not isinstance(scorer, FrameScorer) or getattr(model, 'grounding_head', None) is None:
            raise ConfigError(
                f'{type(model).__name__} cannot find boxes: that needs patch features that are compared with texts, as '
                'in FGCLIP with a grounding_head.'
            )
        self.model = model
        self.scorer = scorer
        self.most_frames = most_frames
        self.most_boxes = most_boxes

    @torch.inference_mode()
    def boxes(self, result: VideoResult, source: VideoSource) -> InstanceData:
        """Boxes of all events of a video, linked to tracks.

        A box is a proposal that matches a phrase of the event's class better than every normal phrase. Its score is
        the difference of the two cosine similarities.

        Args:
            result (VideoResult): With events that have a label.
            source (VideoSource): Its video.

        Returns:
            InstanceData: As documented in :class:`VideoResult`.
        """
        rows: list[tuple[int, np.ndarray, float, str, str]] = []
        for event in result.events:
            if event.label is not None:
                rows += self._boxes_of(event, result, source)
        found = InstanceData()
        found.frame_inds = np.array([row[0] for row in rows], np.int64)
        found.boxes_xyxy = np.array([row[1] for row in rows], np.float32).reshape(-1, 4)
        found.scores = np.array([row[2] for row in rows], np.float32)
        found.labels = [row[3] for row in rows]
        found.track_ids = link_boxes(found.frame_inds, found.boxes_xyxy, np.array(found.labels))
        found.reasons = [row[4] for row in rows]
        return found

    def _boxes_of(
        self, event: Event, result: VideoResult, source: VideoSource
    ) -> list[tuple[int, np.ndarray, float, str, str]]:
        inds = result.frame_inds[(result.frame_inds >= event.start) & (result.frame_inds < event.end)]
        if not len(inds):  # an event between two sampled frames
            inds = result.frame_inds[[int(np.argmin(np.abs(result.frame_inds - event.peak)))]]
        if len(inds) > self.most_frames:
            inds = inds[np.linspace(0, len(inds) - 1, self.most_frames).round().astype(int)]
        height, width = result.size
        scale = np.array([width, height, width, height], np.float32)
        rows = []
        for first in range(0, len(inds), _AT_ONCE):
            part = inds[first : first + _AT_ONCE]
            found = self.find(self.frames(source, part), str(event.label))
            for frame, (boxes, gains, reasons) in zip(part.tolist(), found, strict=True):
                for box, gain, reason in zip(boxes, gains.tolist(), reasons, strict=True):
                    rows.append((frame, box * scale, gain, str(event.label), reason))
        return rows

    @torch.inference_mode()
    def find(self, frames: np.ndarray, label: str) -> list[tuple[np.ndarray, np.ndarray, list[str]]]:
        """Boxes of a class or prompt in frames.

        Args:
            frames (np.ndarray): As the model gets them, RGB, uint8, shape (n, H, W, 3).
            label (str): The class or prompt.

        Returns:
            list: Per frame: boxes as shares of the width and the height, float32, shape (k, 4); their scores, float32,
            shape (k,); and a reason for each.
        """
        head = self.model.score_head
        phrases = head.phrases_of(label)
        wanted = self.model.embed_phrases(phrases)
        others = self.model.embed_phrases(head.normal_phrases)
        pixels = torch.from_numpy(frames).permute(0, 3, 1, 2)
        grid = self.model.embed_grid(self.scorer.to_inputs(frames))
        found = self.model.grounding_head.detect(grid, pixels.to(grid.device), wanted, others, self.most_boxes)
        return [
            (
                boxes.cpu().numpy(),
                gains.cpu().numpy(),
                [
                    f'more similar to "{phrases[phrase]}" than to any normal phrase (cosine +{gain:.3f})'
                    for gain, phrase in zip(gains.tolist(), which.tolist(), strict=True)
                ],
            )
            for boxes, gains, which in found
        ]

    def frames(self, source: VideoSource, inds: np.ndarray) -> np.ndarray:
        """Frames of a video as the model gets them, RGB, uint8, shape (n, H, W, 3)."""
        reader = self.scorer.reader
        if source.frames is not None:
            opened = reader.look_at(source)
            frames = np.stack(list(reader.pictures(opened, inds)))
        else:
            index = index_video(source.path)
            size = reader.size_of(index.height, index.width)
            frames = read_frames(index, inds, size, interpolation=reader.interpolation)
        return frames if reader.change is None else reader.change(frames)

    @torch.inference_mode()
    def heat_maps(self, source: VideoSource, inds: Sequence[int] | np.ndarray, prompt: str) -> np.ndarray:
        """How similar each cell of the patch grid is to a prompt.

        Args:
            source (VideoSource): The video.
            inds (Sequence[int]): Frames, ascending.
            prompt (str): Any text.

        Returns:
            np.ndarray: Cosine similarities, float32, shape (n, h, w), where h x w is the patch grid.

        Raises:
            ConfigError: The prompt is too long.
        """
        wanted_e = self.model.embed_phrases([prompt])[0]
        maps = []
        inds = np.asarray(inds, np.int64)
        for first in range(0, len(inds), _AT_ONCE):
            grid = self.model.embed_grid(self.scorer.to_inputs(self.frames(source, inds[first : first + _AT_ONCE])))
            maps.append(torch.einsum('nehw,e->nhw', F.normalize(grid, dim=1), wanted_e).cpu().numpy())
        return np.concatenate(maps)
