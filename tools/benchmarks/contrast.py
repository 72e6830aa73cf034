"""A large contrastive batch by gradient cache, compared with the same batch at once, and with one chunk alone."""

import math
from typing import Any

from torch import Tensor

from .harness import Entry, Report, compete, limit, resident_bytes
from .plain_fgclip import make_batch, make_clip
from .step import build_ours, pack
from .training_step import TrainingStepJob

AT_ONCE = 'whole batch at once'
ONE_CHUNK = 'one chunk alone'
CHUNK = 2
# glibc keeps blocks of up to 32 MB in a heap that fragments, which would hide what a step really needs.
NO_HEAP: dict[str, str | None] = {'MALLOC_MMAP_THRESHOLD_': '262144'}


class ContrastJob(TrainingStepJob):
    """Forward, backward and AdamW's update of one batch of FG-CLIP.

    Args:
        arch: A key of ``ARCHITECTURES``.
        frames: T.
        videos: B.
        chunk: Videos encoded at once by the gradient cache; None without it.
        first_videos: Videos of the first step, which allocates the optimizer's state; None for all.
    """

    def __init__(self, arch: str, frames: int, videos: int, chunk: int | None, first_videos: int | None = None) -> None:
        import mmcv.ops  # noqa: F401

        import vadlab.models  # noqa: F401

        self.packed = pack(make_batch(arch, videos, frames))
        self.first_videos = first_videos
        make_clip('tiny')  # load libraries before the measurement, since their memory is not for activations
        self.baseline_bytes = resident_bytes()  # with the pixels: those of waiting videos are not counted
        self.model = build_ours(arch, False, 32, contrast=None if chunk is None else (videos, chunk))
        self.model.train()
        self.start('ours', 0.01)

    def losses(self) -> dict[str, Tensor]:
        """Losses of the batch, with their graph."""
        first = self.first_videos if self.steps == 0 else None
        packed = {name: values[:first] for name, values in self.packed.items()}
        out = self.model(**self.model.data_preprocessor(packed, training=True), mode='loss')
        return {name: value for name, value in out.items() if name in ('loss_global', 'loss_region')}


def run(
    runs: int = 3,
    videos: int = 8,
    frames: int = 8,
    many: int = 64,
    many_frames: int = 32,
    arch: str = 'ViT-B/32',
) -> Report:
    """Measure the gradient cache.

    Args:
        runs: Runs of the comparison of time.
        videos: Batch of that comparison.
        frames: Its frames per video.
        many: Batch of the comparison of memory.
        many_frames: Its frames per video.
        arch: A key of ``ARCHITECTURES``.
    """
    report = Report()
    case = f'{arch}, {videos} x {frames} frames, losses over all pairs'
    first: dict[str, dict[str, Any]] = {}
    entries = [
        Entry(name, 'contrast:ContrastJob', dict(arch=arch, frames=frames, videos=videos, chunk=chunk))
        for name, chunk in ((AT_ONCE, None), (f'gradient cache, chunk {CHUNK}', CHUNK))
    ]
    rows = compete('contrast', case, entries, runs, AT_ONCE, 'steps/s', on_first=first.__setitem__)
    report.rows += rows
    report.errors += _differences(first[AT_ONCE], first.get(rows[1].name), case)
    ratio = rows[1].cpu_ratio or rows[1].ratio
    found = None if ratio is None else ratio.median
    report.targets.append(limit('compute of the gradient cache against the plain pass', 1.45, found))

    case = f'{arch}, {many_frames} frames per video, peak memory without the pixels'
    entries = [
        Entry(
            name,
            'contrast:ContrastJob',
            dict(arch=arch, frames=many_frames, videos=count, chunk=chunk, first_videos=CHUNK),
            env=NO_HEAP,
        )
        for name, count, chunk in (
            (f'{ONE_CHUNK}: {CHUNK} videos', CHUNK, None),
            (f'gradient cache, {many} videos, chunk {CHUNK}', many, CHUNK),
        )
    ]
    rows = compete('contrast', case, entries, 1, warm_up=1)
    report.rows += rows
    small, large = (row.peak_mib for row in rows)
    share = None if small is None or large is None else large / small
    report.targets.append(limit(f'peak memory of {many} videos against {CHUNK}', 1.15, share))
    report.errors += [f'contrast, {case}: {row.name}: {row.note}' for row in rows if row.note]
    return report


def _differences(plain: dict[str, float], cached: dict[str, float] | None, case: str) -> list[str]:
    """Losses and gradient norms that are not equal."""
    if cached is None:
        return [f'contrast, {case}: the gradient cache failed']
    return [
        f'contrast, {case}: {name} is {cached[name]:.6f} with the gradient cache, {value:.6f} at once'
        for name, value in plain.items()
        if not math.isclose(value, cached[name], rel_tol=1e-4, abs_tol=1e-5)
    ]
