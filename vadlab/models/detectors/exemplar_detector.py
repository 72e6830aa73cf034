# Shapes: n windows, r regions, d numbers of a region's motion over a window, e exemplars of a region.
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.logging import MMLogger
from mmengine.structures import InstanceData
from torch import Tensor, nn

from vadlab.datasets.video import index_video
from vadlab.datasets.video.pyav_reader import stream_pyav
from vadlab.registry import MODELS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import CheckpointError, ConfigError, DataError

from ..densities.fitted_module import FittedModule
from ..heads.prompt_scoring_head import to_every_frame
from .fitted_detector import FittedDetector, check_is_normal

_BLOCK = 32  # windows that are compared at once


@MODELS.register_module()
class ExemplarDetector(FittedDetector):
    """One-class detector: scores a region by the distance of its motion to the nearest motion there in normal clips.

    Ramachandra and Jones, "Street Scene: A new dataset and evaluation protocol for video anomaly detection", WACV 2020,
    arXiv:1902.05872, the variant on optical flow::

        flow of T frames in overlapping regions -> distance to the nearest exemplar of the same region
        training: a region's motion becomes an exemplar if its distance to all exemplars of the region > `threshold`

    Deviations: flow is averaged over cells of some pixels; the distance is the mean over cells of
    ``|u - v| / (|u| + |v| + noise)`` with a noise floor of one pixel, our interpretation of the paper's normalised L1;
    a frame's score is that of its highest-scoring region. The authors' code is not public, so we could not compare
    with it.

    There is no training by gradients. Training is one pass over the clips, which selects exemplars (:meth:`gather`);
    :class:`~vadlab.engine.hooks.fit_densities_hook.FitDensitiesHook` ends it (:meth:`fit`).

    Args:
        flow (dict): ``DISFlow`` or ``FarnebackFlow``.
        frames (int): Frames T of a window, >= 1.
        cell (int): Height and width over which flow is averaged, in pixels.
        region (int): Height and width of a region, in cells, even; regions overlap by half.
        threshold (float): See above, 0..1.
        noise (float): Noise floor of the distance, in pixels per frame, > 0.
        max_exemplars (int): At most this many per region; how many regions are full is logged.
        max_boxes (int): Number of highest-scoring regions of a frame in ``pred_detections``.
        data_preprocessor (dict | None): See MMEngine.

    Raises:
        ConfigError: An option has an invalid value.
    """

    def __init__(
        self,
        flow: dict,
        frames: int = 4,
        cell: int = 5,
        region: int = 8,
        threshold: float = 0.15,
        noise: float = 1.0,
        max_exemplars: int = 500,
        max_boxes: int = 20,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor)
        numbers = dict(frames=frames, cell=cell, max_exemplars=max_exemplars, max_boxes=max_boxes)
        for name, value in numbers.items():
            if value < 1:
                raise ConfigError(f'ExemplarDetector: {name} must be at least 1, not {value}.')
        if region < 2 or region % 2:
            raise ConfigError(f'ExemplarDetector: region must be an even number of cells, not {region}.')
        if not 0 < threshold < 1 or noise <= 0:
            raise ConfigError(
                f'ExemplarDetector: threshold must be in 0..1 and noise > 0, not {threshold} and {noise}.'
            )
        self.flow = MODELS.build(flow)
        self.frames = frames
        self.cell = cell
        self.region = region
        self.threshold = threshold
        self.noise = noise
        self.max_exemplars = max_exemplars
        self.max_boxes = max_boxes
        # MMEngine's optimizer needs a parameter. It has no effect.
        self.unused = nn.Parameter(torch.zeros(()))
        self.memory = _Exemplars()
        self._novelty: dict[str, np.ndarray] = {}

    # ---- training ---------------------------------------------------------------------------------------------------

    def gather(self, data_samples: Sequence[VADDataSample]) -> dict[str, Tensor]:
        """Add the exemplars of training clips; a clip that was seen before adds nothing.

        Returns:
            dict[str, Tensor]: ``loss``, which is 0, and ``exemplars``, their number so far.

        Raises:
            ConfigError: There are several processes.
            DataError: A clip has anomalous frames, is too short, or has another size than the clips before.
        """
        if get_world_size() > 1:
            raise ConfigError('ExemplarDetector is fitted in one process. Start it without a launcher.')
        for sample in data_samples:
            check_is_normal(sample)
            if sample.video_id not in self._novelty:
                self._gather_clip(sample)
        return {'loss': self.unused * 0, 'exemplars': torch.tensor(float(self.memory.count))}

    def _gather_clip(self, sample: VADDataSample) -> None:
        clip, scores = len(self._novelty), []
        for first, block_nrd, grid in self._windows(sample):
            self.memory.begin(grid, sample.video_id)
            scores.append(self._compare(block_nrd)[0].amax(1))
            for r in range(block_nrd.shape[1]):
                self._select(r, block_nrd[:, r], clip, first)
        self._novelty[sample.video_id] = torch.cat(scores).numpy()

    def _select(self, r: int, block_nd: Tensor, clip: int, first: int) -> None:
        """Greedy selection in the order of time."""
        nearest_n = self._distances(block_nd, self.memory.of(r)).amin(1)
        for i in torch.nonzero(nearest_n > self.threshold)[:, 0].tolist():
            if nearest_n[i] > self.threshold and self.memory.size(r) < self.max_exemplars:
                self.memory.add(r, block_nd[i], clip, first + i)
                nearest_n = torch.minimum(nearest_n, self._distances(block_nd, block_nd[i : i + 1])[:, 0])

    def fit(self, seed: int = 0) -> None:
        """End the selection, and measure what the scores of clips are before their own exemplars are added.

        Args:
            seed (int): Not used.

        Raises:
            DataError: No clip was gathered.
        """
        if not self._novelty:
            raise DataError('ExemplarDetector: no training clip was gathered')
        self.memory.pack()
        clips = list(self._novelty.values())
        # The first clips are compared with few exemplars. Test clips are compared with all, like the later half.
        frames = np.concatenate(clips[len(clips) // 2 :])
        level = [np.percentile(frames, 99.9), max(frames.std(), 1e-3)]
        if len(clips) == 1:
            level = [2 * self.threshold, self.threshold / 2]
            MMLogger.get_current_instance().warning(
                'ExemplarDetector: with one training clip, the probability of an anomaly is 0.5 at twice the '
                'threshold. Cut the footage into several clips to measure it'
            )
        self.memory.level = torch.tensor(level, dtype=torch.float64)
        full = sum(self.memory.size(r) >= self.max_exemplars for r in range(self.memory.num_regions))
        MMLogger.get_current_instance().info(
            f'ExemplarDetector: {self.memory.count:,} exemplars of {self.memory.num_regions} regions from {len(clips)} '
            f'clips; {full} regions have the maximum number, {self.max_exemplars}'
        )

    def check_checkpoint(self, state_dict: Mapping[str, Tensor], name: str) -> None:
        """Give the exemplars the shapes of the file.

        Raises:
            CheckpointError: The file was saved before the fit.
        """
        vectors = state_dict.get('memory.vectors')
        if vectors is not None and not vectors.numel():
            raise CheckpointError(f'{name} was saved before the fit. Run tools/train.py to its end')
        if set(state_dict) == set(self.state_dict()):
            self.memory.take_shapes(state_dict, 'memory.')

    # ---- scoring ----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def predict(self, data_samples: list[VADDataSample]) -> list[VADDataSample]:
        """Score clips.

        ``pred_logits`` is the highest distance of a frame's regions to their nearest exemplars, 0..1, and
        ``pred_scores`` a number in 0..1 that is 0.5 at the 99.9th percentile of training frames. ``pred_detections``
        has the highest-scoring regions of each frame, ``pred_region_scores`` the scores of all regions.

        Raises:
            ConfigError: There are no exemplars.
            DataError: A clip is too short, or has another size than the training clips.
        """
        if not self.memory.num_regions:
            raise ConfigError(
                'ExemplarDetector has no exemplars. Fit it to normal clips first: python tools/train.py CONFIG; then '
                'test its checkpoint, epoch_1.pth'
            )
        for sample in data_samples:
            distances, nearest = [], []
            for _, block_nrd, grid in self._windows(sample):
                self.memory.check(grid, sample.video_id)
                block = self._compare(block_nrd)
                distances.append(block[0])
                nearest.append(block[1])
            distance_nr, nearest_nr = torch.cat(distances), torch.cat(nearest)
            total = int(sample.total_frames)
            centres = np.arange(len(distance_nr)) + self.frames // 2
            sample.pred_logits = to_every_frame(distance_nr.amax(1), centres, total)
            level, spread = self.memory.level.tolist() if len(self.memory.level) else (0.5, 0.1)
            sample.pred_scores = torch.sigmoid((sample.pred_logits - level) / spread)
            of_frame = (torch.arange(total) - self.frames // 2).clamp(0, len(distance_nr) - 1)
            rows, columns = self.memory.grid.tolist()
            sample.pred_region_scores = distance_nr[of_frame].reshape(total, rows, columns)
            sample.pred_detections = self._detections(distance_nr[of_frame], nearest_nr[of_frame])
        return data_samples

    def _detections(self, distance_nr: Tensor, nearest_nr: Tensor) -> InstanceData:
        """The highest-scoring regions of each frame."""
        count = min(self.max_boxes, distance_nr.shape[1])
        scores, regions = distance_nr.topk(count, 1)
        columns = int(self.memory.grid[1])
        step, side = self.region // 2 * self.cell, self.region * self.cell
        top, left = regions.flatten() // columns * step, regions.flatten() % columns * step
        boxes = torch.stack([left, top, left + side - 1, top + side - 1], 1).float()
        exemplars = nearest_nr.gather(1, regions).flatten().tolist()
        reasons = [
            f'motion unlike any seen here (distance {score:.2f}); nearest: {self.memory.name_of(e)}'
            for score, e in zip(scores.flatten().tolist(), exemplars, strict=True)
        ]
        return InstanceData(
            frame_inds=torch.arange(len(distance_nr)).repeat_interleave(count),
            boxes_xyxy=boxes,
            scores=scores.flatten().float(),
            labels=['region'] * len(boxes),
            reasons=reasons,
        )

    def _compare(self, block_nrd: Tensor) -> tuple[Tensor, Tensor]:
        """Distance of each window and region to the nearest exemplar, and its index, both of shape (n, r)."""
        distance_nr = torch.ones(block_nrd.shape[:2])
        nearest_nr = torch.full(block_nrd.shape[:2], -1)
        for r in range(block_nrd.shape[1]):
            exemplars = self.memory.of(r)
            if len(exemplars):
                found = self._distances(block_nrd[:, r], exemplars).min(1)
                distance_nr[:, r] = found.values
                nearest_nr[:, r] = found.indices + self.memory.first(r)
        return distance_nr, nearest_nr

    def _distances(self, a_nd: Tensor, b_ed: Tensor) -> Tensor:
        """Mean of |a - b| / (|a| + |b| + noise), shape (n, e); 1 in a single column without exemplars."""
        if not len(b_ed):
            return torch.ones(len(a_nd), 1)
        a, b = a_nd[:, None], b_ed[None]
        return ((a - b).abs() / (a.abs() + b.abs() + self.noise)).mean(2)

    def _windows(self, sample: VADDataSample) -> Iterator[tuple[int, Tensor, tuple[int, int]]]:
        """First window of a block, the motion of regions in its windows, (n, r, d), and rows and columns of regions."""
        index = index_video(sample.video_path)
        rows = index.height // self.cell // (self.region // 2) - 1
        columns = index.width // self.cell // (self.region // 2) - 1
        if index.total_frames < max(self.frames, 2) or rows < 1 or columns < 1:
            raise DataError(
                f'{sample.video_id}: {index.total_frames} frames of {index.height}x{index.width} pixels are too few '
                f'for windows of {self.frames} frames and regions of {self.region * self.cell} pixels'
            )
        recent: deque[np.ndarray] = deque(maxlen=self.frames)
        block: list[Tensor] = []
        first = 0
        for motion in self._motion(index):
            recent.append(motion)
            if len(recent) == self.frames:
                block.append(self._regions(np.stack(recent)))
            if len(block) == _BLOCK:
                yield first, torch.stack(block), (rows, columns)
                first, block = first + len(block), []
        if block:
            yield first, torch.stack(block), (rows, columns)

    def _motion(self, index: Any) -> Iterator[np.ndarray]:
        """Flow of each frame since the one before (of the first: to the second), averaged over cells, (H, W, 2)."""
        size = (index.height, index.width)
        height, width = index.height // self.cell, index.width // self.cell
        before, has_begun = None, False
        for frame in stream_pyav(index, np.arange(index.total_frames), size, 'bilinear'):
            grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            if before is not None:
                flow = np.nan_to_num(self.flow.flow(before, grey), nan=0.0, posinf=0.0, neginf=0.0)
                whole = flow[: height * self.cell, : width * self.cell]
                cells = whole.reshape(height, self.cell, width, self.cell, 2).mean((1, 3))
                if not has_begun:
                    yield cells
                has_begun = True
                yield cells
            before = grey

    def _regions(self, motion_thw2: np.ndarray) -> Tensor:
        """The cells of each region, shape (r, d), rows first."""
        cells = torch.from_numpy(motion_thw2)
        parts = cells.unfold(1, self.region, self.region // 2).unfold(2, self.region, self.region // 2)
        return parts.permute(1, 2, 0, 3, 4, 5).flatten(2).flatten(0, 1).contiguous()


class _Exemplars(FittedModule):
    """Exemplars of all regions: lists during selection, then buffers that are saved in checkpoints."""

    vectors: Tensor
    regions: Tensor
    clips: Tensor
    windows: Tensor
    grid: Tensor
    level: Tensor
    names: Tensor

    def __init__(self) -> None:
        kinds = dict(vectors=torch.float32, regions=torch.int64, clips=torch.int64, windows=torch.int64)
        super().__init__(**kinds, grid=torch.int64, level=torch.float64, names=torch.uint8)
        self._lists: list[list[tuple[Tensor, int, int]]] = []
        self._stacked: list[Tensor] = []
        self._names: list[str] = []

    def begin(self, grid: tuple[int, int], name: str) -> None:
        """Prepare for a clip with these rows and columns of regions."""
        if not len(self.grid):
            self.grid = torch.tensor(grid)
            self._lists = [[] for _ in range(grid[0] * grid[1])]
            self._stacked = [torch.zeros(0, 0)] * len(self._lists)
        self.check(grid, name)
        if name not in self._names:
            self._names.append(name)

    def check(self, grid: tuple[int, int], name: str) -> None:
        """Check that a clip has the regions of the training clips."""
        if tuple(self.grid.tolist()) != grid:
            rows, columns = self.grid.tolist()
            raise DataError(
                f'{name} has {grid[0]} x {grid[1]} regions, but the clips before {rows} x {columns}. Exemplars '
                'belong to places of one fixed camera: use clips of one size'
            )

    @property
    def num_regions(self) -> int:
        """Number of regions; 0 without any clip."""
        return int(self.grid.prod()) if len(self.grid) else 0

    @property
    def count(self) -> int:
        """Number of exemplars of all regions."""
        return sum(map(len, self._lists)) if self._lists else len(self.regions)

    def add(self, r: int, vector: Tensor, clip: int, window: int) -> None:
        """Add an exemplar of a region."""
        self._lists[r].append((vector.clone(), clip, window))
        self._stacked[r] = torch.stack([v for v, _, _ in self._lists[r]])

    def size(self, r: int) -> int:
        """Number of exemplars of a region."""
        return len(self.of(r))

    def of(self, r: int) -> Tensor:
        """Exemplars of a region, shape (e, d)."""
        return self._stacked[r] if self._lists else self.vectors[self.regions == r]

    def first(self, r: int) -> int:
        """Number of exemplars of the regions before."""
        return sum(map(len, self._lists[:r])) if self._lists else int((self.regions < r).sum())

    def pack(self) -> None:
        """Put the selected exemplars into buffers."""
        self.vectors = torch.cat([s for s in self._stacked if len(s)])
        rows = [(r, clip, window) for r, found in enumerate(self._lists) for _, clip, window in found]
        self.regions, self.clips, self.windows = torch.tensor(rows).T.contiguous()
        self.names = torch.tensor(list('\n'.join(self._names).encode()), dtype=torch.uint8)
        self._lists = []

    def name_of(self, exemplar: int) -> str:
        """Clip and first frame of an exemplar."""
        if exemplar < 0:
            return 'none'
        if self._lists:
            _, clip, window = [item for found in self._lists for item in found][exemplar]
            return f'{self._names[clip]}, frame {window}'
        names = bytes(self.names.tolist()).decode().split('\n')
        return f'{names[int(self.clips[exemplar])]}, frame {int(self.windows[exemplar])}'
