from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ..formats.feature_files import open_features


@TRANSFORMS.register_module()
class LoadFeatures(BaseTransform):
    """Map the feature files of a video into memory; only what later steps use is read.

    Required keys: feature_paths, crop_columns

    Added keys: features (list of C arrays, one per crop, of shape (T, D), float16 or float32, read-only)
    """

    def transform(self, results: dict) -> dict:
        files = {path: open_features(path) for path in dict.fromkeys(results['feature_paths'])}
        results['features'] = [
            files[path] if column is None else files[path][:, column]
            for path, column in zip(results['feature_paths'], results['crop_columns'], strict=True)
        ]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
