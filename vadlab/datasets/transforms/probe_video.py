from mmcv.transforms import BaseTransform
from mmengine.logging import MMLogger

from ...registry import TRANSFORMS
from ...utils.errors import DataError
from ..formats.keyframes import shown_spans
from ..temporal_truth import outside_of
from ..video import index_video


@TRANSFORMS.register_module()
class ProbeVideo(BaseTransform):
    """Count a video's frames without decoding it, and clip its annotations to that length.

    Required keys: video_path, video_id, regions, intervals

    Added keys: total_frames (int, exact), fps (float), ori_shape (tuple of height and width, pixels)

    Modified keys: regions (``end_frame`` clipped; regions that start after the end dropped), intervals (clipped).
    Clipping is logged once per video.

    Raises:
        DamagedVideoError: The file cannot be read.
        DataError: Annotated frames are outside the video, see :func:`~vadlab.datasets.temporal_truth.outside_of`.
    """

    def __init__(self) -> None:
        self._reported: set[str] = set()

    def transform(self, results: dict) -> dict:
        index = index_video(results['video_path'])
        results['total_frames'] = index.total_frames
        results['fps'] = index.fps
        results['ori_shape'] = (index.height, index.width)
        if problem := outside_of(results, index.total_frames):
            raise DataError(problem)
        kept, n_clipped = [], 0
        for region in results['regions']:
            if region['end_frame'] >= index.total_frames:
                n_clipped += 1
                region = {**region, 'end_frame': index.total_frames - 1}
            if len(shown_spans(region)):
                kept.append(region)
        n_dropped = len(results['regions']) - len(kept)
        results['regions'] = kept
        intervals = results['intervals'].clip(0, index.total_frames)
        results['intervals'] = intervals[intervals[:, 0] < intervals[:, 1]]
        if n_clipped and results['video_id'] not in self._reported:
            self._reported.add(results['video_id'])
            MMLogger.get_current_instance().warning(
                f'{results["video_id"]} has {index.total_frames} frames: end_frame of {n_clipped} regions clipped'
                + (f', {n_dropped} of them dropped' if n_dropped else '')
            )
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
