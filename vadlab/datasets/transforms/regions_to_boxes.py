import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import MMLogger

from ...registry import TRANSFORMS
from ...utils.errors import ConfigError
from ..formats.keyframes import shown_spans, track_boxes


@TRANSFORMS.register_module()
class RegionsToBoxes(BaseTransform):
    """Compute boxes and their mask for each sampled frame from keyframes.

    Required keys: video_id, regions, frame_inds

    Added keys: region_boxes (float32, x1 y1 x2 y2 normalised to 0..1, shape (R, T, 4), zeros if there is none),
    region_valid (bool, shape (R, T))

    Modified keys: regions (those without a box in any sampled frame are dropped, and logged once per video)

    Args:
        min_box_area: Boxes smaller than this share of the frame are dropped, 0..1.

    Raises:
        ConfigError: ``min_box_area`` is not in 0..1.
    """

    def __init__(self, min_box_area: float = 0.005) -> None:
        if not 0 <= min_box_area < 1:
            raise ConfigError(f'RegionsToBoxes: min_box_area must be in 0..1, not {min_box_area!r}')
        self.min_box_area = min_box_area
        self._reported: set[str] = set()

    def _boxes(self, region: dict, frame_inds: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        boxes, valid = track_boxes(region, frame_inds)
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        # A box of exactly the minimum area is kept in spite of float32 rounding.
        small = valid & (area < self.min_box_area - 1e-6)
        boxes[small] = 0
        return boxes, valid & ~small, int(small.sum())

    def transform(self, results: dict) -> dict:
        inds = results['frame_inds']
        tracks = [self._boxes(region, inds) for region in results['regions']]
        kept = [i for i, (_, valid, _) in enumerate(tracks) if valid.any()]
        if len(kept) < len(tracks) and results['video_id'] not in self._reported:
            self._reported.add(results['video_id'])
            lost = [results['regions'][i]['caption'] for i in range(len(tracks)) if i not in kept]
            MMLogger.get_current_instance().warning(
                f'{results["video_id"]}: {len(lost)} regions have no box in a sampled frame and are dropped: '
                + '; '.join(lost)
            )
        results['regions'] = [results['regions'][i] for i in kept]
        results['region_boxes'] = np.array([tracks[i][0] for i in kept], np.float32).reshape(len(kept), len(inds), 4)
        results['region_valid'] = np.array([tracks[i][1] for i in kept], bool).reshape(len(kept), len(inds))
        return results

    def report(self, data_list: list[dict]) -> list[str]:
        """Log lines on the effect of dropping small boxes, over all frames, sampled or not."""
        n_small, emptied = 0, []
        for sample in data_list:
            for i, region in enumerate(sample['regions']):
                spans = shown_spans(region)
                if not len(spans):
                    continue
                frames = np.concatenate([np.arange(start, end) for start, end in spans])
                _, valid, small = self._boxes(region, frames)
                n_small += small
                if not valid.any():
                    emptied.append(f'{sample["video_id"]} region {i}')
        if not n_small:
            return []
        line = f'{n_small} boxes below {self.min_box_area:.1%} of the frame dropped'
        if emptied:
            line += f', so {len(emptied)} regions have no box left ({", ".join(emptied[:5])}'
            line += ', ...)' if len(emptied) > 5 else ')'
        return [line]

    def __repr__(self) -> str:
        return f'{type(self).__name__}(min_box_area={self.min_box_area})'
