"""One-class detection: frames per second by stage, and nearest neighbours against brute force."""

from pathlib import Path
from typing import Any

import numpy as np

from .harness import Entry, Report, compete

DECODE = 'decoding alone'
BRUTE = 'plain NumPy'
SIZE = (240, 360)
DETECTOR = 'yolox_nano.onnx'  # in the cache folder; the detector is left out without it

#: Parts of the pipeline without a detector, each with all before it.
STAGES = (DECODE, 'and flow (DIS)', 'and moving objects', 'and their speed', 'and densities')
DETECTOR_ALONE = 'decoding and the detector alone'
#: Parts with a detector.
DETECTING = (DETECTOR_ALONE, 'detector, flow, speed and kind', 'detector, flow, speed, kind and densities')


def write_clip(folder: Path, frames: int) -> Path:
    """A folder of JPEG pictures of textured blocks that move; kept from run to run."""
    import cv2

    folder = folder / f'oneclass_{frames}'
    if len(list(folder.glob('*.jpg'))) == frames:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    scene = cv2.GaussianBlur(generator.integers(60, 160, (*SIZE, 3)).astype(np.uint8), (0, 0), 2)
    blocks = [cv2.GaussianBlur(generator.integers(0, 255, (36, 16, 3)).astype(np.uint8), (0, 0), 1) for _ in range(8)]
    for i in range(frames):
        picture = scene.copy()
        for j, block in enumerate(blocks):
            x = (40 * j + (1 + j % 3) * i) % (SIZE[1] - 16)
            picture[24 * j : 24 * j + 36, x : x + 16] = block
        cv2.imwrite(str(folder / f'{i:05d}.jpg'), picture)
    return folder


class StageJob:
    """Measures the objects of a clip, up to a stage.

    Args:
        folder: The clip.
        stage: One of :data:`STAGES` or :data:`DETECTING`.
        detector: The ``.onnx`` file of :data:`DETECTING`.
    """

    def __init__(self, folder: str, stage: str, detector: str = '') -> None:
        import cv2

        from vadlab.models.detectors.attribute_detector import AttributeDetector

        cv2.setNumThreads(1)
        self.folder, self.stage = folder, stage
        objects = dict(type='MotionBlobs')
        attributes = {'speed': dict(attribute=dict(type='Speed'), density=dict(type='GaussianMixtureDensity'))}
        if stage in DETECTING:
            objects = dict(type='ONNXDetector', path=detector)
            attributes['kind'] = dict(attribute=dict(type='Kind'), density=dict(type='ClassRarity'))
        self.model = AttributeDetector(objects, dict(type='DISFlow'), attributes, min_objects=1).eval()
        self.stream = self.model.stream
        if stage == STAGES[2]:
            self.stream.attributes = {}
        if stage in (STAGES[-1], DETECTING[-1]):
            self.model([], [self._sample()], mode='loss')
            self.model.fit()
        elif stage in DETECTING:
            self.model.objects.open()

    def _sample(self) -> Any:
        from vadlab.structures import VADDataSample

        return VADDataSample(metainfo=dict(video_id='clip', video_path=self.folder))

    def run(self) -> dict[str, Any]:
        """Read the clip; returns the number of frames."""
        from vadlab.datasets.video import index_video
        from vadlab.datasets.video.pyav_reader import stream_pyav

        index = index_video(self.folder)
        if self.stage in (DECODE, DETECTOR_ALONE):
            count = 0
            for frame in stream_pyav(index, np.arange(index.total_frames), SIZE, 'bicubic'):
                count += 1
                if self.stage == DETECTOR_ALONE:
                    self.model.objects.detect(frame)
            return {'frames': count}
        if self.stage == STAGES[1]:
            return {'frames': sum(1 for _ in self.stream._moving(index, SIZE))}
        if self.stage in (STAGES[-1], DETECTING[-1]):
            return {'frames': len(self.model([], [self._sample()], mode='predict')[0].pred_scores)}
        return {'frames': self.stream.extract(self.folder).total_frames}


class NeighbourJob:
    """Mean squared distance to the nearest of many vectors.

    Args:
        kind: ``reference``, ``torch`` or ``faiss``.
        count: Number of known vectors; a tenth of it are queries.
        width: Numbers per vector.
    """

    def __init__(self, kind: str, count: int, width: int = 128) -> None:
        from vadlab.models.densities.nearest_neighbours import NearestNeighbourDensity

        generator = np.random.default_rng(0)
        self.kind = kind
        self.known = generator.normal(size=(count, width)).astype(np.float32)
        self.queries = generator.normal(size=(max(count // 10, 1), width)).astype(np.float32)
        self.density = NearestNeighbourDensity(backend='torch' if kind == 'reference' else kind)

    def run(self) -> dict[str, Any]:
        """The sum of all distances, and the largest."""
        if self.kind == 'reference':
            far = np.array([((self.known - query) ** 2).sum(axis=1).min() for query in self.queries])
        else:
            far = self.density._distances(self.queries, self.known)
        return {'sum': float(far.sum()), 'largest': float(far.max())}


def run(cache: Path, runs: int = 5, frames: int = 300, count: int = 5000) -> Report:
    """Measure the stages of a clip, and nearest neighbours.

    Args:
        cache: Folder for the clip; with :data:`DETECTOR` in it, the detector is measured, too.
        runs: Runs per comparison.
        frames: Frames of the clip.
        count: Known vectors.
    """
    folder = str(write_clip(cache, frames))
    kinds: list[tuple[tuple[str, ...], dict[str, str]]] = [(STAGES, {})]
    if (cache / DETECTOR).is_file():
        kinds.append((DETECTING, {'detector': str(cache / DETECTOR)}))
    report = Report([])
    for stages, more in kinds:  # the first stage of each is the reference
        first: dict[str, Any] = {}
        entries = [
            Entry(stage, 'oneclass:StageJob', dict(folder=folder, stage=stage, **more), units=frames, threads=1)
            for stage in stages
        ]
        case = f'{frames} frames of {SIZE[1]} x {SIZE[0]} pixels, JPEG'
        report.rows += compete('oneclass', case, entries, runs, stages[0], 'frames/s', on_first=first.__setitem__)
        report.errors += [
            f'oneclass: {name} read {found["frames"]} of {frames} frames'
            for name, found in first.items()
            if found['frames'] != frames
        ]
    near: dict[str, Any] = {}
    entries = [
        Entry(name, 'oneclass:NeighbourJob', dict(kind=kind, count=count), units=count // 10, threads=1)
        for name, kind in ((BRUTE, 'reference'), ('VADLab, torch', 'torch'), ('VADLab, FAISS', 'faiss'))
    ]
    case = f'nearest of {count} vectors of 128 numbers'
    report.rows += compete('oneclass', case, entries, runs, BRUTE, 'queries/s', on_first=near.__setitem__)
    report.errors += [
        f'oneclass: {case}: {name}: {key} is {value}, but {near[BRUTE][key]} by {BRUTE}'
        for name, found in near.items()
        for key, value in found.items()
        if abs(value - near[BRUTE][key]) > 1e-4 * abs(near[BRUTE][key])
    ]
    return report
