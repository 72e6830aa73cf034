import numpy as np
import torch
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ...structures import VADDataSample
from ...utils.errors import DataError

_META_KEYS = (
    'video_id',
    'video_path',
    'feature_paths',
    'audio_path',
    'crop_inds',
    'snippet_len',
    'total_frames',
    'class_name',
    'sample_idx',
)


@TRANSFORMS.register_module()
class PackSnippetInputs(BaseTransform):
    """Build inputs and data sample of methods over snippet features.

    Features stay in the precision of their files until they are on the model's device. They must be finite, since a
    single NaN would spread to all weights in one step.

    Required keys: features, label, class_labels, num_classes; optional: intervals, class_intervals and other fields of
    the data sample

    Added keys: inputs (float tensor, shape (C, T, D)), data_samples (:class:`~vadlab.structures.VADDataSample`); all
    other keys are removed

    Raises:
        DataError: Features are not finite; the message names the file.
    """

    def transform(self, results: dict) -> dict:
        feats = results['features']
        feats = np.stack(feats) if isinstance(feats, list) else feats
        self._check_finite(feats, results)
        meta = {key: results[key] for key in _META_KEYS if key in results}
        sample = VADDataSample(metainfo={**meta, 'num_snippets': feats.shape[1]})
        sample.gt_label = int(results['label'])
        sample.gt_classes = torch.zeros(results['num_classes'])
        sample.gt_classes[list(results['class_labels'])] = 1.0
        if 'intervals' in results:
            sample.gt_intervals = torch.from_numpy(np.asarray(results['intervals'], np.int64).reshape(-1, 2))
            sample.gt_class_intervals = list(results.get('class_intervals', []))
        return dict(inputs=torch.from_numpy(np.ascontiguousarray(feats)), data_samples=sample)

    @staticmethod
    def _check_finite(feats: np.ndarray, results: dict) -> None:
        finite = np.isfinite(feats).all(axis=(1, 2))
        if not finite.all():
            bad = [path for path, ok in zip(results['feature_paths'], finite, strict=True) if not ok]
            raise DataError(
                f'{results["video_id"]}: NaN or infinite features in {bad[0]}'
                f'{f" and {len(bad) - 1} more files" if len(bad) > 1 else ""}. Extract them again; '
                'python tools/verify.py CONFIG finds all such files'
            )

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
