# Shapes: t snippets, c crops, d channels.
"""Compare two sets of snippet features, and find likely causes of the differences."""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vadlab.datasets.formats.feature_files import open_features
from vadlab.datasets.formats.feature_lists import crop_separator_of, split_feature_name
from vadlab.datasets.formats.feature_recipe import RECIPE_FILE, read_recipe
from vadlab.utils.config import config_differences
from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.natural_order import natural_sorted

from .crops import CROP_ORDERS, CropViews

MAX_LAG = 3  # snippets
_FACTOR = ': a constant factor.'
ROUNDING = 0.9999  # cosines of features that differ only by rounding to float16 are above this
_SAME = 0.999  # cosine that is still reached with float16 and another library version
_KNOWN_DIMS = {
    512: 'CLIP ViT-B through its projection',
    768: 'CLIP ViT-B before or ViT-L through the projection, or VideoMAE-B',
    1024: 'I3D (Inception), or CLIP ViT-L before the projection',
    2048: 'I3D ResNet-50, or I3D with two streams',
    4096: 'C3D',
}


@dataclass
class FeatureSet:
    """The feature files of a folder, or one file.

    Attributes:
        source (str): Folder or file.
        files (dict): Paths by video and crop number; crop None for a file that may contain several crops.
    """

    source: str
    files: dict[str, dict[int | None, str]]

    @classmethod
    def scan(cls, source: str | os.PathLike) -> 'FeatureSet':
        """Find the ``.npy`` files of a folder (at any depth), or use one file.

        Raises:
            MissingFileError: The path does not exist, or contains no feature file.
        """
        path = Path(source)
        if path.is_file():
            return cls(str(path), {'': {None: str(path)}})
        if not path.is_dir():
            raise MissingFileError(f'There is no folder or file {path}.')
        paths = natural_sorted(p for p in path.rglob('*.npy') if not p.name.startswith('.'))
        if not paths:
            raise MissingFileError(f'There is no .npy file below {path}.')
        separator = crop_separator_of([p.name for p in paths])
        files: dict[str, dict[int | None, str]] = {}
        for found in paths:
            name, crop = split_feature_name(found.as_posix(), separator)
            files.setdefault(name, {})[crop] = str(found)
        return cls(str(path), files)

    def read(self, name: str) -> np.ndarray:
        """Features of a video, floating point, shape (c, t, d); all crops truncated to the shortest.

        Raises:
            DataError: A file cannot be read, or is neither (t, d) nor (t, c, d).
        """
        arrays: list[np.ndarray] = []
        for _, path in sorted(self.files[name].items(), key=lambda item: item[0] or 0):
            array = open_features(path)
            if array.ndim == 3:
                arrays.extend(array.transpose(1, 0, 2))
            elif array.ndim == 2:
                arrays.append(array)
            else:
                raise DataError(
                    f'{path} has the shape {array.shape}; wanted (snippets, channels), or with crops between'
                )
        shortest = min(len(a) for a in arrays)
        return np.stack([a[:shortest] for a in arrays])


@dataclass
class Comparison:
    """Result of :func:`compare_features`.

    Attributes:
        facts (dict): Measurements by name; serialisable as JSON.
        findings (list[str]): Their likely causes, as text.
        recipes (list[str] | None): Differences of the recipes; None if one of the sets has no recipe.
        cosines (np.ndarray): Cosines of snippets after matching crops, lag and stride, float64, shape (n,).
        chance (np.ndarray): Cosines of snippets that do not correspond, shape (n,).
        curves (dict): Cosine along the snippets of single videos, by name.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    recipes: list[str] | None = None
    cosines: np.ndarray = field(default_factory=lambda: np.zeros(0))
    chance: np.ndarray = field(default_factory=lambda: np.zeros(0))
    curves: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def is_same(self) -> bool:
        """Whether the sets differ only by rounding."""
        return not self.findings


def compare_features(a: FeatureSet, b: FeatureSet, max_videos: int = 50, seed: int = 0) -> Comparison:
    """Compare two feature sets of the same videos.

    Names and lengths are compared for all videos, features for ``max_videos`` of them, chosen at random. If both sets
    have recipes that differ, this is the first finding, and causes are not guessed from the features.

    Args:
        a (FeatureSet): One set.
        b (FeatureSet): The other.
        max_videos (int): Number of videos whose features are read.
        seed (int): Seed of the choice.

    Raises:
        DataError: The sets have no video in common, or a file cannot be read.
    """
    result = Comparison(recipes=_recipe_differences(a, b))
    if result.recipes:
        result.findings.append(f'The sets were made by different recipes: {"; ".join(result.recipes)}.')
    names = _common_names(a, b, result)
    lengths = _compare_shapes(a, b, names, result)
    generator = np.random.default_rng(seed)
    drawn = sorted(generator.permutation(len(names))[:max_videos])
    sample = {names[i]: (a.read(names[i]), b.read(names[i])) for i in drawn}
    _compare_types(sample, result)
    _compare_norms(sample, result)
    dims = {(x.shape[2], y.shape[2]) for x, y in sample.values()}
    if any(x != y for x, y in dims):
        x, y = next((x, y) for x, y in dims if x != y)
        known = '; '.join(f'{d}: {_KNOWN_DIMS[d]}' for d in (x, y) if d in _KNOWN_DIMS)
        result.findings.insert(
            bool(result.recipes),
            f'{x} channels against {y}: another backbone or layer{f" ({known})" if known else ""}.',
        )
        return result
    stride = _compare_strides(lengths, result)
    if stride != 1:
        sample = {name: _thin(x, y, stride) for name, (x, y) in sample.items()}
    pairs = _match_crops(sample, result)
    lag = _compare_lags(sample, pairs, result)
    _compare_numbers(sample, pairs, lag, result, generator)
    return result


def _recipe_differences(a: FeatureSet, b: FeatureSet) -> list[str] | None:
    folders = [Path(side.source) for side in (a, b)]
    if not all((folder / RECIPE_FILE).is_file() for folder in folders):
        return None
    return config_differences(*(read_recipe(folder)['recipe'] for folder in folders))


def _common_names(a: FeatureSet, b: FeatureSet, result: Comparison) -> list[str]:
    if '' in a.files or '' in b.files:
        if set(a.files) == {''} == set(b.files):
            return ['']
        raise DataError('Compare a file with a file, or a folder with a folder.')
    only_a, only_b = (natural_sorted(names) for names in (set(a.files) - set(b.files), set(b.files) - set(a.files)))
    common = natural_sorted(set(a.files) & set(b.files))
    result.facts.update(videos=len(common), only_a=only_a, only_b=only_b)
    if not common:
        raise DataError(
            f'{a.source} and {b.source} have no video in common (such as {only_a[0]} and {only_b[0]}). Are they of one '
            'data set, and is one of them the folder of another split?'
        )
    for side, names in (('A', only_a), ('B', only_b)):
        if names:
            result.findings.append(
                f'{len(names)} videos are only in {side} (such as {names[0]}): another split or part.'
            )
    return common


def _compare_shapes(
    a: FeatureSet, b: FeatureSet, names: list[str], result: Comparison
) -> dict[str, tuple[int, int, int, int]]:
    """Compare the numbers of snippets and crops of every video, read from the headers of the files."""
    shapes: dict[str, tuple[int, int, int, int]] = {}
    for name in names:
        sides = []
        for side in (a, b):
            arrays = [open_features(path) for path in side.files[name].values()]
            counts = sorted({len(array) for array in arrays})
            if len(counts) > 1:
                result.findings.append(f'{name} in {side.source} has crops of {counts} snippets: one is incomplete.')
            sides.append((counts[0], sum(array.shape[1] if array.ndim == 3 else 1 for array in arrays)))
        shapes[name] = (sides[0][0], sides[1][0], sides[0][1], sides[1][1])
    differences = Counter(y - x for x, y, _, _ in shapes.values())
    result.facts['length_differences'] = {str(k): v for k, v in sorted(differences.items())}
    crops = Counter((x, y) for _, _, x, y in shapes.values())
    result.facts['crops'] = {f'{x}:{y}': v for (x, y), v in crops.items()}
    if any(x != y for x, y in crops):
        (x, y), count = next((k, v) for k, v in crops.items() if k[0] != k[1])
        result.findings.append(f'{count} videos have {x} crops in A and {y} in B; those that match best are compared.')
    return shapes


def _compare_types(sample: dict[str, tuple[np.ndarray, np.ndarray]], result: Comparison) -> None:
    kinds = Counter((str(x.dtype), str(y.dtype)) for x, y in sample.values())
    result.facts['dtypes'] = {f'{x}:{y}': v for (x, y), v in kinds.items()}
    for side in (0, 1):
        bad = [name for name, pair in sample.items() if not np.isfinite(pair[side].astype(np.float32)).all()]
        if bad:
            result.findings.append(
                f'{"AB"[side]}: {len(bad)} videos hold NaN or infinity (such as {bad[0]}): an overflow of float16.'
            )


def _compare_norms(sample: dict[str, tuple[np.ndarray, np.ndarray]], result: Comparison) -> None:
    norms = [
        np.concatenate([np.linalg.norm(pair[side].astype(np.float64), axis=-1).ravel() for pair in sample.values()])
        for side in (0, 1)
    ]
    middles = [float(np.median(n)) for n in norms]
    unit = [bool(np.abs(n - 1).max() < 5e-3) for n in norms]
    ratio = middles[1] / middles[0] if middles[0] else float('nan')
    result.facts.update(
        norm_a=middles[0], norm_b=middles[1], norm_ratio=ratio, unit_length_a=unit[0], unit_length_b=unit[1]
    )
    for side in (0, 1):
        if (norms[side] < 1e-6).any():
            share = float((norms[side] < 1e-6).mean())
            result.findings.append(f'{"AB"[side]}: {share:.1%} of the snippets are all zeros: padding was stored.')
    if unit[0] != unit[1]:
        scaled = 'A' if unit[0] else 'B'
        result.findings.append(
            f'{scaled} is scaled to length 1, the other is not: divide by the norm, or leave it out.'
        )
    elif not 0.98 < ratio < 1.02 and _is_alike(norms[0] * ratio, norms[1]):
        result.findings.append(f'B is {ratio:.3g} times as long as A{_FACTOR}')


def _is_alike(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two samples of lengths have the same distribution, so that only a factor differs."""
    at = (5, 25, 50, 75, 95)
    return bool(np.abs(np.percentile(a, at) / np.percentile(b, at) - 1).max() < 0.02)


def _compare_strides(shapes: dict[str, tuple[int, int, int, int]], result: Comparison) -> int | float:
    """Snippets of A per snippet of B, if that is nearly an integer or the inverse of one."""
    long = [(x, y) for x, y, _, _ in shapes.values() if min(x, y) >= 8]
    differing = [(x, y) for x, y, _, _ in shapes.values() if x != y]
    if not differing:
        return 1
    if long:
        ratio = float(np.median([x / y for x, y in long]))
        for whole in range(2, 33):
            if abs(ratio / whole - 1) < 0.06:
                result.facts['stride_ratio'] = whole
                result.findings.append(f"A has {whole} snippets for one of B: a stride of 1/{whole} of B's.")
                return whole
            if abs(ratio * whole - 1) < 0.06:
                result.facts['stride_ratio'] = 1 / whole
                result.findings.append(f"B has {whole} snippets for one of A: a stride of 1/{whole} of A's.")
                return 1 / whole
    gaps = Counter(y - x for x, y in differing)
    if set(gaps) <= {1} or set(gaps) <= {-1}:
        more = 'B' if 1 in gaps else 'A'
        share = len(differing) / len(shapes)
        # Lengths modulo 16 are about uniform: ceil differs from floor for 15 videos of 16, floor((N-1)/16) for one.
        rule = 'floor((N-1)/16) against floor(N/16)' if share < 0.3 else 'floor(N/16) against ceil(N/16)'
        if 0.3 <= share < 0.85 or len(shapes) < 8:
            rule = 'two of floor(N/16), ceil(N/16) and floor((N-1)/16)'
        result.findings.append(
            f'{len(differing)} of {len(shapes)} videos have one snippet more in {more}: another rule for the last, '
            f'incomplete snippet ({rule}).'
        )
    else:
        most = max(differing, key=lambda pair: abs(pair[0] - pair[1]))
        result.findings.append(
            f'{len(differing)} of {len(shapes)} videos differ in length without a common rule (up to {most[0]} against '
            f'{most[1]} snippets): another frame rate, other cuts of the videos, or videos that '
            'were read up to a damaged part.'
        )
    return 1


def _thin(x: np.ndarray, y: np.ndarray, stride: int | float) -> tuple[np.ndarray, np.ndarray]:
    if stride > 1:
        x = x[:, :: int(stride)]
    else:
        y = y[:, :: round(1 / stride)]
    return x, y


def _unit(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def _match_crops(sample: dict[str, tuple[np.ndarray, np.ndarray]], result: Comparison) -> list[tuple[int, int]]:
    """Match the crops of B to those of A by the mean cosine over all videos."""
    n_a, n_b = (min(pair[side].shape[0] for pair in sample.values()) for side in (0, 1))
    if n_a == n_b == 1:
        return [(0, 0)]
    total = np.zeros((n_a, n_b))
    for x, y in sample.values():
        t = min(x.shape[1], y.shape[1])
        total += np.einsum('itd,jtd->ij', _unit(x[:n_a, :t]), _unit(y[:n_b, :t])) / t
    table = total / len(sample)
    result.facts['crop_cosines'] = np.round(table, 4).tolist()
    if n_a == n_b and np.trace(table) / n_a >= _assigned_mean(table, _assign(table)) - 1e-3:
        return [(i, i) for i in range(n_a)]
    pairs = _assign(table)
    result.facts['crop_permutation'] = pairs
    if n_a != n_b:
        return pairs
    text = ', '.join(f'A{i}=B{j}' for i, j in pairs)
    result.findings.append(f'The crops are in another order ({text}){_known_orders(dict(pairs), n_a)}.')
    return pairs


def _assign(table: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of a row and a column, the most similar first; each row and column is used once."""
    table = table.copy()
    pairs = []
    for _ in range(min(table.shape)):
        i, j = np.unravel_index(np.argmax(table), table.shape)
        pairs.append((int(i), int(j)))
        table[i], table[:, j] = -np.inf, -np.inf
    return sorted(pairs)


def _assigned_mean(table: np.ndarray, pairs: list[tuple[int, int]]) -> float:
    return float(np.mean([table[i, j] for i, j in pairs]))


def _known_orders(matched: dict[int, int], count: int) -> str:
    if count not in (5, 10):
        return ''
    for one in CROP_ORDERS:
        for other in CROP_ORDERS:
            names_a, names_b = CropViews(1, count, one).names, CropViews(1, count, other).names
            if one != other and all(names_a[i] == names_b[j] for i, j in matched.items()):
                return f': A counts them as {one}, B as {other}'
    half = count // 2
    if count == 10 and all(j == (i + half) % count for i, j in matched.items()):
        return ': the mirrored ones come first in one set'
    return ''


def _compare_lags(
    sample: dict[str, tuple[np.ndarray, np.ndarray]], pairs: list[tuple[int, int]], result: Comparison
) -> int:
    """Find the lag of B in snippets."""
    sums: dict[int, list[float]] = {lag: [] for lag in range(-MAX_LAG, MAX_LAG + 1)}
    for x, y in sample.values():
        u, v = _unit(x[[i for i, _ in pairs]]), _unit(y[[j for _, j in pairs]])
        for lag, values in sums.items():
            first, second = u[:, max(-lag, 0) :], v[:, max(lag, 0) :]
            t = min(first.shape[1], second.shape[1])
            if t > 0:
                values.append(float((first[:, :t] * second[:, :t]).sum(-1).mean()))
    means = {lag: float(np.mean(values)) for lag, values in sums.items() if values}
    result.facts['cosine_by_lag'] = {str(lag): round(value, 5) for lag, value in means.items()}
    best = max(means, key=lambda lag: (means[lag], -abs(lag)))
    gain = means[best] - means[0]
    # Neighbouring snippets are similar, so only a clear gain, or an exact match, is a lag.
    if best != 0 and (gain > 0.1 * (1 - means[0]) + 1e-4):
        side = 'late' if best > 0 else 'early'
        result.facts['lag'] = best
        result.findings.append(f'B is {abs(best)} snippets {side}: frames cut off or added at the start.')
        return best
    return 0


def _compare_numbers(
    sample: dict[str, tuple[np.ndarray, np.ndarray]],
    pairs: list[tuple[int, int]],
    lag: int,
    result: Comparison,
    generator: np.random.Generator,
) -> None:
    left, right, cosines = [], [], []
    for name, (x, y) in sample.items():
        first, second = x[[i for i, _ in pairs]], y[[j for _, j in pairs]]
        first, second = first[:, max(-lag, 0) :], second[:, max(lag, 0) :]
        t = min(first.shape[1], second.shape[1])
        first, second = first[:, :t].astype(np.float64), second[:, :t].astype(np.float64)
        values = (_unit(first) * _unit(second)).sum(-1)
        cosines.append(values.ravel())
        if len(result.curves) < 6:
            result.curves[name or Path('one').name] = values.mean(0)
        left.append(first[0])
        right.append(second[0])
    result.cosines = np.concatenate(cosines)
    a, b = np.concatenate(left), np.concatenate(right)
    if len(a) > 1000:
        rows = generator.permutation(len(a))[:1000]
        a, b = a[rows], b[rows]
    shuffled = np.roll(b, max(len(b) // 2, 1), axis=0)
    result.chance = (_unit(a) * _unit(shuffled)).sum(-1)
    centred = float((_unit(a - a.mean(0)) * _unit(b - b.mean(0))).sum(-1).mean())
    percentiles = np.percentile(result.cosines, [5, 25, 50, 75, 95])
    median, chance = float(percentiles[2]), float(np.median(result.chance))
    cka = linear_cka(a, b)
    result.facts.update(
        cosine_mean=float(result.cosines.mean()),
        cosine_percentiles={str(p): float(v) for p, v in zip((5, 25, 50, 75, 95), percentiles, strict=True)},
        cosine_chance=chance,
        cosine_centred=centred,
        linear_cka=cka,
        largest_difference=float(np.abs(a - b).max()),
    )
    if result.recipes:
        if result.cosines.min() >= ROUNDING:
            result.findings.append('The features are the same, up to rounding: that difference has no effect on them.')
        return
    if median >= _SAME and percentiles[0] >= 0.99:
        if percentiles[0] < _SAME:
            result.findings.append(
                'A few snippets differ (see the 5th percentile): single frames were read differently.'
            )
        return
    if median >= _SAME:
        result.findings.append(
            f'Most snippets agree, but 5 % have a cosine below {percentiles[0]:.3f}: some videos or frames were read '
            'differently (another decoder, a video cut differently).'
        )
        return
    if centred > 0.3:
        result.findings.append(
            f'The same weights on other pixels (median cosine {median:.3f}, chance {chance:.3f}): BGR for RGB, a '
            'missing mean and deviation, another resize, crop or choice of frames. --explain CONFIG VIDEOS finds out.'
        )
        return
    # The features have nothing in common, so a constant factor of lengths is not evidence of another stride.
    result.findings = [finding for finding in result.findings if not finding.endswith(_FACTOR)]
    if cka > 0.5:
        result.findings.append(
            f'The same scenes seen by other weights (median cosine {median:.3f} is no more than chance, {chance:.3f}, '
            f'but the sets order snippets alike, CKA {cka:.2f}): another model, layer, or projection.'
        )
    else:
        result.findings.append(
            f'Nothing in common (median cosine {median:.3f}, chance {chance:.3f}, CKA {cka:.2f}): other weights, '
            'random weights, blank frames, or features of other videos under the same names.'
        )


def linear_cka(a: np.ndarray, b: np.ndarray) -> float:
    """Linear centred kernel alignment: how similarly two sets order the same snippets, for any meaning of the channels.

    Kornblith et al., ICML 2019, arXiv:1905.00414, with the unbiased estimate of Song et al., JMLR 13 (2012), section
    2.2, so unrelated features give 0 on average for any number of snippets.

    Args:
        a (np.ndarray): Shape (n, d), n > 3.
        b (np.ndarray): Shape (n, e).

    Returns:
        float: At most 1. A rotation or a factor does not change it. NaN for fewer than 4 snippets or constant features.
    """
    n = len(a)
    if n < 4:
        return float('nan')
    kernels = []
    for x in (a, b):
        x = x - x.mean(0)
        kernel = x @ x.T
        np.fill_diagonal(kernel, 0)
        kernels.append(kernel)

    def hsic(k: np.ndarray, m: np.ndarray) -> float:
        sums_k, sums_m = k.sum(1), m.sum(1)
        value = (k * m).sum() + sums_k.sum() * sums_m.sum() / ((n - 1) * (n - 2)) - 2 * (sums_k @ sums_m) / (n - 2)
        return float(value / (n * (n - 3)))

    own = hsic(kernels[0], kernels[0]) * hsic(kernels[1], kernels[1])
    return hsic(*kernels) / own**0.5 if own > 0 else float('nan')
