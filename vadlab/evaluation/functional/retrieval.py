"""Retrieval measures: the rank of the first hit."""

from collections.abc import Sequence

import numpy as np

from vadlab.utils.errors import DataError


def text_groups(captions: Sequence[str]) -> np.ndarray:
    """Group numbers of captions; equal texts, ignoring case and spacing, have one number: int64, shape (K,)."""
    numbers: dict[str, int] = {}
    groups = [numbers.setdefault(' '.join(caption.casefold().split()), len(numbers)) for caption in captions]
    return np.array(groups, dtype=np.int64)


def retrieval_ranks(
    queries: np.ndarray,
    gallery: np.ndarray,
    query_groups: np.ndarray,
    gallery_groups: np.ndarray,
    chunk_size: int = 1024,
) -> np.ndarray:
    """Rank of each query's best hit in the gallery, by dot product.

    A non-hit with the same similarity as the best hit ranks before it, so a model with equal embeddings for all items
    gains nothing from ties.

    Args:
        queries (np.ndarray): Embeddings, float, shape (Q, D).
        gallery (np.ndarray): Embeddings, float, shape (G, D).
        query_groups (np.ndarray): Integers, shape (Q,). Gallery items with the query's group are its hits.
        gallery_groups (np.ndarray): Integers, shape (G,).
        chunk_size (int): Number of queries compared at a time; limits the memory, does not change the result.

    Returns:
        np.ndarray: 1 is first; int64, shape (Q,).

    Raises:
        DataError: There is no query, shapes do not match, embeddings are not finite, or a query has no hit.
    """
    queries, gallery = np.asarray(queries), np.asarray(gallery)
    query_groups, gallery_groups = np.asarray(query_groups), np.asarray(gallery_groups)
    if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
        raise DataError(f'Embeddings have the shapes {queries.shape} and {gallery.shape}; expected (Q, D) and (G, D)')
    if len(queries) == 0:
        raise DataError('There is no query: retrieval needs at least one pair')
    if query_groups.shape != queries.shape[:1] or gallery_groups.shape != gallery.shape[:1]:
        raise DataError('There must be one group number per query and per gallery item')
    if not (np.isfinite(queries).all() and np.isfinite(gallery).all()):
        raise DataError('Embeddings hold NaN or infinite values; the model has diverged or overflowed')
    ranks = np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), chunk_size):
        rows = slice(start, start + chunk_size)
        similarity = queries[rows] @ gallery.T
        hit = query_groups[rows, None] == gallery_groups
        if not hit.any(axis=1).all():
            first = start + int(np.argmin(hit.any(axis=1)))
            raise DataError(f'Query {first} has no hit in the gallery')
        best = np.where(hit, similarity, -np.inf).max(axis=1, keepdims=True)
        ranks[rows] = 1 + np.count_nonzero((similarity >= best) & ~hit, axis=1)
    return ranks


def chance_recall_at_1(query_groups: np.ndarray, gallery_groups: np.ndarray) -> float:
    """R@1 of a random ranking: the mean share of the gallery that counts as a hit, 0..1."""
    groups, counts = np.unique(gallery_groups, return_counts=True)
    size_of = dict(zip(groups.tolist(), counts.tolist(), strict=True))
    return float(np.mean([size_of.get(g, 0) for g in np.asarray(query_groups).tolist()]) / len(gallery_groups))


def recall_at(ranks: np.ndarray, k: int) -> float:
    """Share of the queries with a hit among the first ``k``, 0..1."""
    return float(np.mean(np.asarray(ranks) <= k))
