import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ...utils.errors import ConfigError
from .random_generator import new_generator

MODES = ('segment_mean', 'rounded_segment_mean', 'uniform', 'pick', 'random', 'jitter')


@TRANSFORMS.register_module()
class ResampleSnippets(BaseTransform):
    """Resample videos to a fixed or bounded number of snippets, as published methods do in training.

    Modes that always give exactly ``max_snippets`` = n, and repeat snippets of shorter videos:

    * ``segment_mean``: the means of n equal segments (``process_feat`` of RTFM; UR-DMU on both data sets, whose
      ``random_perturb`` is not random).
    * ``rounded_segment_mean``: the same between n + 1 rounded positions from the first to the last snippet, which
      excludes the last one (Sultani et al.'s ``Save_C3DFeatures_32Segments``; they also normalise: ``normalize=True``).

    Modes that change only videos longer than ``max_snippets``; padding of shorter ones is masked by length:

    * ``uniform``: the means of n equal segments (VadCLIP).
    * ``pick``: n evenly spaced snippets, including the first and the last (PEL4VAD).
    * ``random``: n consecutive snippets from a random position (``random_extract`` of VadCLIP, PEL4VAD and XDVioDet,
      including the last position).
    * ``jitter``: a random snippet from each of n equal segments.

    All crops of a video get the same positions. Means are computed in float32; VadCLIP rounds them to the files'
    float16.

    Required keys: features

    Modified keys: features (float32, shape (C, T, D))

    Args:
        max_snippets: n, >= 1.
        mode: See above.
        normalize: Whether to scale each resulting snippet to unit length.

    Raises:
        ConfigError: An option has an invalid value.
    """

    def __init__(self, max_snippets: int, mode: str = 'uniform', normalize: bool = False) -> None:
        if mode not in MODES:
            raise ConfigError(f'ResampleSnippets: there is no mode {mode!r}. Known: {", ".join(MODES)}')
        if not isinstance(max_snippets, int) or max_snippets < 1:
            raise ConfigError(f'ResampleSnippets: max_snippets must be a whole number >= 1, not {max_snippets!r}')
        self.max_snippets = max_snippets
        self.mode = mode
        self.normalize = normalize

    def transform(self, results: dict) -> dict:
        crops = results['features']
        places = self._positions(len(crops[0]))
        feats = np.stack([self._resample(crop, places) for crop in crops])
        if self.normalize:
            feats /= np.maximum(np.linalg.norm(feats, axis=-1, keepdims=True), np.finfo(np.float32).tiny)
        results['features'] = feats
        return results

    def _resample(self, feats: np.ndarray, places: np.ndarray | slice) -> np.ndarray:
        if isinstance(places, np.ndarray) and self.mode in ('segment_mean', 'rounded_segment_mean', 'uniform'):
            return segment_means(feats, places)
        return np.asarray(feats[places], np.float32)

    def _positions(self, total: int) -> np.ndarray | slice:
        """Edges of segments, shape (n + 1,), in the modes that average; else the selected snippets."""
        num = self.max_snippets
        if self.mode == 'rounded_segment_mean':
            # MATLAB rounds halves up, NumPy to even.
            return np.floor(np.linspace(1, total, num + 1) + 0.5).astype(np.int64) - 1
        if self.mode != 'segment_mean' and total <= num:
            return slice(None)
        edges = np.linspace(0, total, num + 1, dtype=np.int64)
        if self.mode in ('segment_mean', 'uniform'):
            return edges
        if self.mode == 'pick':
            return np.linspace(0, total - 1, num, dtype=np.int64)
        generator = new_generator()
        if self.mode == 'random':
            start = int(generator.integers(total - num + 1))
            return slice(start, start + num)
        return generator.integers(edges[:-1], edges[1:])

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(max_snippets={self.max_snippets}, mode={self.mode!r}, normalize={self.normalize})'
        )


def segment_means(feats: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Means of the segments ``edges[i] .. edges[i + 1] - 1``; an empty segment gives the snippet at its edge.

    Args:
        feats (np.ndarray): Floating point, shape (T, D).
        edges (np.ndarray): Ascending, integer, 0 <= edge <= T, all but the last below T, shape (n + 1,).

    Returns:
        np.ndarray: float32, shape (n, D).
    """
    starts, stops = edges[:-1], np.maximum(edges[1:], edges[:-1] + 1)
    lengths = stops - starts
    sums = np.zeros((len(starts), feats.shape[1]), np.float32)
    # Adds the i-th snippets of all segments at once, in the order of a mean over each segment; lengths differ by at
    # most one, so nearly all rows take part in each step.
    for i in range(lengths.max()):
        rows = slice(None) if i < lengths.min() else lengths > i
        sums[rows] += feats[starts[rows] + i]
    return sums / lengths[:, None].astype(np.float32)
