"""RoIAlign in plain torch, compared with mmcv's op."""

from typing import Any

import torch

from .harness import Entry, Report, compete

REFERENCE = "mmcv's op"
PLAIN = 'plain torch'
# Maps, channels, side of a map, boxes: a training batch of FG-CLIP on ViT-B/32 (2 videos of 256 frames, of which 64
# have boxes, 2 boxes in each), and on ViT-L/14; and the proposals of a test, all boxes in every frame.
SIZES: dict[str, dict[str, tuple[int, int, int, int]]] = {
    'published': {
        'regions, 128 maps of 7 x 7 x 768, 2 boxes in each': (128, 768, 7, 256),
        'regions, 128 maps of 16 x 16 x 1024, 2 boxes in each': (128, 1024, 16, 256),
        'proposals, 64 maps of 7 x 7 x 512, 100 boxes in each': (64, 512, 7, 6400),
    },
    'tiny': {'regions, 4 maps of 3 x 3 x 8, 2 boxes in each': (4, 8, 3, 8)},
}


class RoIAlignJob:
    """Forward and backward of one batch of boxes.

    Args:
        kind: ``reference`` or ``plain``.
        maps: Feature maps.
        channels: Channels of a map.
        side: Height and width of a map.
        boxes: Number of boxes in all maps, the same number in each.
    """

    def __init__(self, kind: str, maps: int, channels: int, side: int, boxes: int) -> None:
        from vadlab.models.layers import roi_align

        if problem := roi_align.mmcv_ops_problem('cpu'):
            raise RuntimeError(problem)
        if kind == 'plain':
            roi_align.mmcv_ops_problem = lambda device_type: 'not asked for'  # type: ignore[assignment]
        torch.manual_seed(0)
        self.pool = roi_align.RoIAlign()
        self.maps = torch.randn(maps, channels, side, side, requires_grad=True)
        corners = torch.rand(boxes, 2) * side / 2
        rows = torch.arange(maps).repeat_interleave(boxes // maps)[:, None]
        self.rois = torch.cat([rows, corners, corners + (0.05 + 0.45 * torch.rand(boxes, 2)) * side], 1)

    def run(self) -> dict[str, Any]:
        """Pool, and compute the gradient of the mean square; return sums of both, for comparison."""
        self.maps.grad = None
        pooled = self.pool(self.maps, self.rois)
        pooled.square().mean().backward()
        gradient: Any = self.maps.grad
        return dict(pooled=float(pooled.detach().double().abs().sum()), gradient=float(gradient.double().abs().sum()))


def run(runs: int = 5, size: str = 'published') -> Report:
    """Measure RoIAlign.

    Args:
        runs: Runs per comparison.
        size: A key of :data:`SIZES`.
    """
    report = Report()
    for case, (maps, channels, side, boxes) in SIZES[size].items():
        first: dict[str, Any] = {}
        options = dict(maps=maps, channels=channels, side=side, boxes=boxes)
        entries = [
            Entry(name, 'roi_align:RoIAlignJob', dict(kind=kind, **options), units=boxes, threads=1)
            for name, kind in ((REFERENCE, 'reference'), (PLAIN, 'plain'))
        ]
        rows = compete('roi_align', case, entries, runs, REFERENCE, 'boxes/s', on_first=first.__setitem__)
        report.rows += rows
        for row in rows:
            row.details = {}
        if PLAIN not in first:
            report.errors.append(f'roi_align, {case}: {rows[1].note}')
            continue
        for name, value in first[REFERENCE].items():
            if abs(first[PLAIN][name] - value) > 1e-6 * value:
                report.errors.append(f'roi_align, {case}: {name} is {first[PLAIN][name]}, {REFERENCE} says {value}')
    return report
