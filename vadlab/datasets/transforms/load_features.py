import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ...utils.errors import DataError
from ..formats.feature_files import open_features


@TRANSFORMS.register_module()
class LoadFeatures(BaseTransform):
    """Map the feature files of a video into memory; only what later steps use is read.

    Features of sound are joined to those of each crop: T is then ``num_snippets``, and the arrays are in memory.

    Required keys: feature_paths, crop_columns; optional: audio_path (None: the sound is missing, zeros), audio_dim (A),
    num_snippets (needed with audio_path)

    Added keys: features (list of C arrays, one per crop, of shape (T, D), with sound (T, D + A), float16 or float32)

    Raises:
        DataError: A file was removed or damaged after the data set was read, or features of sound are not finite.
    """

    def transform(self, results: dict) -> dict:
        files = {path: open_features(path) for path in dict.fromkeys(results['feature_paths'])}
        results['features'] = [
            files[path] if column is None else files[path][:, column]
            for path, column in zip(results['feature_paths'], results['crop_columns'], strict=True)
        ]
        if 'audio_path' in results:
            num = results['num_snippets']
            audio = self._audio(results, num)
            results['features'] = [np.concatenate([crop[:num], audio], axis=1) for crop in results['features']]
        return results

    @staticmethod
    def _audio(results: dict, num: int) -> np.ndarray:
        """Features of sound, shape (num, A)."""
        path = results['audio_path']
        if path is None:
            return np.zeros((num, results['audio_dim']), results['features'][0].dtype)
        audio = open_features(path)[:num]
        if not np.isfinite(audio).all():
            raise DataError(f'{results["video_id"]}: NaN or infinite features of sound in {path}. Extract them again')
        return audio

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
