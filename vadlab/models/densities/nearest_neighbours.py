from typing import Any

import numpy as np
import torch

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError, MissingDependencyError

from .density import Density

BACKENDS = ('auto', 'faiss', 'torch')
DISTANCES = ('squared', 'euclidean')
_AT_ONCE = 4096  # query vectors per block


@MODELS.register_module()
class NearestNeighbourDensity(Density):
    """Mean distance to the nearest training vectors; for long vectors, as in AI-VAD.

    For the calibration, each training vector is compared with those of all other clips, as AI-VAD does, since its own
    clip shows the same object. If there is only one clip, it is compared with all other vectors of the clip.

    Args:
        neighbours (int): Number of nearest vectors.
        max_vectors (int): Keep at most this many training vectors, chosen greedily so that all others are near one of
            them (k-centre coreset, Roth et al., "PatchCore", CVPR 2022).
        projection (int): Distances for the coreset are computed in a random projection to this many dimensions.
        backend (str): ``faiss``, ``torch``, or ``auto``: FAISS if it is installed. Both are exact.
        calibration (str): See :class:`Density`.
        distance (str): ``squared``: squared Euclidean distance, as in AI-VAD's code; ``euclidean``: as in anomalib's.

    Raises:
        ConfigError: ``backend`` or ``distance`` is unknown.
        MissingDependencyError: FAISS is asked for and not installed.
    """

    def __init__(
        self,
        neighbours: int = 1,
        max_vectors: int = 10_000,
        projection: int = 128,
        backend: str = 'auto',
        calibration: str = 'minmax',
        distance: str = 'squared',
    ) -> None:
        super().__init__(calibration, vectors=torch.float32, clips=torch.int64)
        if backend not in BACKENDS:
            raise ConfigError(f'NearestNeighbourDensity: no backend={backend!r}. Known: {", ".join(BACKENDS)}')
        if distance not in DISTANCES:
            raise ConfigError(f'NearestNeighbourDensity: no distance={distance!r}. Known: {", ".join(DISTANCES)}')
        self.neighbours, self.max_vectors, self.projection, self.backend = neighbours, max_vectors, projection, backend
        self.distance = distance

    def learn(self, vectors: np.ndarray, clips: np.ndarray, seed: int) -> np.ndarray:
        """Keep a coreset; see :meth:`Density.learn`."""
        kept = coreset(vectors, self.max_vectors, self.projection, seed)
        self.vectors = torch.from_numpy(np.ascontiguousarray(vectors[kept], dtype=np.float32))
        self.clips = torch.from_numpy(np.ascontiguousarray(clips[kept], dtype=np.int64))
        bank, bank_clips = self.vectors.numpy(), self.clips.numpy()
        scores = np.zeros(len(vectors))
        for clip in np.unique(clips):
            own, others = clips == clip, bank_clips != clip
            if others.any():
                scores[own] = self._distances(vectors[own], bank[others])
            else:  # a single clip: each vector's nearest is itself
                scores[own] = self._distances(vectors[own], bank, skip=1)
        return scores

    def raw_scores(self, vectors: np.ndarray) -> np.ndarray:
        """Mean distances; see :meth:`Density.raw_scores`."""
        return self._distances(vectors, self.vectors.cpu().numpy())

    def _distances(self, queries: np.ndarray, bank: np.ndarray, skip: int = 0) -> np.ndarray:
        count = min(self.neighbours, max(len(bank) - skip, 1))
        skip = min(skip, len(bank) - count)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        faiss = _faiss(self.backend)
        if faiss is not None:
            index = faiss.IndexFlatL2(bank.shape[1])
            index.add(np.ascontiguousarray(bank))
            found = index.search(queries, count + skip)[0]
            return self._mean(found[:, skip:])
        held = torch.from_numpy(np.ascontiguousarray(bank))
        parts = []
        for start in range(0, len(queries), _AT_ONCE):
            far = torch.cdist(
                torch.from_numpy(queries[start : start + _AT_ONCE]).double(), held.double(),
                compute_mode='donot_use_mm_for_euclid_dist' if bank.shape[1] < 64 else 'use_mm_for_euclid_dist',
            )  # fmt: skip
            nearest = (far**2).topk(count + skip, dim=1, largest=False).values
            parts.append(nearest[:, skip:])
        return self._mean(torch.cat(parts).numpy())

    def _mean(self, squared: np.ndarray) -> np.ndarray:
        """Mean over the neighbours of squared distances, shape (M, neighbours)."""
        squared = squared.astype(np.float64).clip(0)
        return (squared if self.distance == 'squared' else np.sqrt(squared)).mean(axis=1)


def _faiss(backend: str) -> Any:
    """The module, or None for torch."""
    if backend == 'torch':
        return None
    try:
        import faiss
    except ImportError as error:
        if backend == 'auto':
            return None
        raise MissingDependencyError(
            'backend="faiss" needs FAISS: pip install "vadlab[faiss]" (or: pip install faiss-cpu)'
        ) from error
    return faiss


def coreset(vectors: np.ndarray, size: int, projection: int = 128, seed: int = 0) -> np.ndarray:
    """Choose vectors so that all others are near one of them: greedily, always the farthest from the chosen ones.

    Args:
        vectors (np.ndarray): Shape (N, D).
        size (int): Number of vectors to choose, > 0; all if there are no more.
        projection (int): Choose in a random projection to this many dimensions, if D is larger.
        seed (int): Seed of the projection and of the first choice.

    Returns:
        np.ndarray: Indices, int64, ascending.
    """
    count = len(vectors)
    if count <= size:
        return np.arange(count)
    generator = np.random.default_rng(seed)
    points = np.asarray(vectors, np.float32)
    if points.shape[1] > projection:
        points = points @ generator.standard_normal((points.shape[1], projection)).astype(np.float32)
    squared = (points**2).sum(axis=1)
    chosen = [int(generator.integers(count))]
    far = np.full(count, np.inf, np.float32)
    while True:
        last = chosen[-1]
        np.minimum(far, squared + squared[last] - 2 * points @ points[last], out=far)
        far[last] = -np.inf
        if len(chosen) == size:
            return np.sort(np.array(chosen, np.int64))
        chosen.append(int(far.argmax()))
