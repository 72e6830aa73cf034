"""The base class of VADLab's metrics, and helpers for its subclasses."""

import logging
import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from vadlab.utils.errors import ConfigError, DataError
from vadlab.utils.run_log import log

from ..functional.rank_pool import RankPool

_T = TypeVar('_T')

# Fields that a ranking may use: unbounded logits, or probabilities.
RANK_BY = ('logits', 'scores')
# Names of values in version 0.1.
_FORMER = {('rank_by', 'margins'): 'logits'}

# The last frames of a video that do not fill a snippet have no score; this is not a mismatch.
SNIPPET_FRAMES = 16


class ProtocolMetric(metaclass=ABCMeta):
    """Base class of metrics over data samples, with a protocol for each number.

    A subclass converts one sample to one small result (:meth:`process_sample`: a dict of ``sample_id`` and 1-D arrays,
    so that results are cheap to gather over ranks), and the results of all samples to numbers
    (:meth:`compute_metrics`, only in the main process). It declares ``default_prefix`` and ``higher_is_better``, and
    describes in :attr:`protocol` how each number is computed.

    It has the interface of MMEngine's ``BaseMetric`` without deriving from it: ``tools/eval_scores.py`` computes with
    the same classes and loads neither MMEngine nor torch.

    Args:
        prefix (str | None): Prefix of the keys; ``default_prefix`` if None.
    """

    default_prefix: str = ''  # keys without prefix
    higher_is_better: dict[str, bool] = {}

    def __init__(self, prefix: str | None = None) -> None:
        self.prefix = prefix or self.default_prefix
        #: Results of :meth:`process_sample`, in the order of the samples.
        self.results: list[dict[str, Any]] = []
        self._dataset_meta: dict | None = None
        #: Numbers of the last evaluation that do not measure the model, by full key, with the reason.
        self.meaningless: dict[str, str] = {}

    @property
    def dataset_meta(self) -> dict | None:
        """Metainfo of the data set; set before training and testing."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict | None) -> None:
        self._dataset_meta = meta

    @property
    @abstractmethod
    def protocol(self) -> dict[str, str]:
        """How each number is computed, by its full key (``frame/auc``)."""

    @abstractmethod
    def process_sample(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Compute the result of one sample."""

    @abstractmethod
    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Compute the numbers over the results of all samples, by name without prefix."""

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Store one result per sample. MMEngine's evaluator passes samples as dicts."""
        for sample in data_samples:
            fields = sample if isinstance(sample, Mapping) else sample.to_dict()
            self.results.append(self.process_sample(fields))

    def evaluate(self, size: int) -> dict[str, float]:
        """Compute the numbers over the results of all processes, by full key, and clear the results.

        The results are gathered over the process group. (MMEngine's ``BaseMetric`` by default writes them as pickles to
        ``.dist_test/`` in the current folder, which must be writable, and shared by all machines.)

        Args:
            size (int): Number of samples of the data set; samples repeated to fill the last batch do not count.
        """
        from mmengine.dist import broadcast_object_list, collect_results, is_main_process

        results = collect_results(self.results, size, 'gpu')  # as objects, over any backend
        found = [self.full_keys(self.compute_metrics(results or [])) if is_main_process() else {}]
        broadcast_object_list(found)
        self.results.clear()
        return found[0]

    def numbers(self) -> dict[str, float]:
        """Compute the numbers over the results of this process only, by full key."""
        return self.full_keys(self.compute_metrics(self.results))

    def checked(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Results without repeated samples.

        Raises:
            DataError: There is no result.
        """
        if not results:
            raise DataError(f'{type(self).__name__}: no sample was tested. Is the test set empty?')
        unique = {result['sample_id']: result for result in reversed(results)}
        if len(unique) < len(results):
            repeated = len(results) - len(unique)
            self.log(f'{repeated} samples repeat a video that was already tested; each video counts once')
        return list(reversed(unique.values()))

    def full_keys(self, values: Mapping[str, _T]) -> dict[str, _T]:
        """The same values under keys with the prefix."""
        return {f'{self.prefix}/{key}' if self.prefix else key: value for key, value in values.items()}

    def log(self, message: str, level: int = logging.WARNING) -> None:
        """Write a message to the run's log."""
        log(f'{type(self).__name__}: {message}', level)

    def log_other_lengths(self, off_by: Sequence[int], policy: str) -> None:
        """Log the number of videos with more or fewer scores than frames; as a warning only from one snippet on.

        Args:
            off_by (Sequence[int]): Difference of scores and frames of each video, >= 0.
            policy (str): The length policy.
        """
        touched = sum(frames > 0 for frames in off_by)
        if touched:
            level = logging.INFO if max(off_by) < SNIPPET_FRAMES else logging.WARNING
            self.log(
                f'{touched} of {len(off_by)} videos had scores of another length, by {max(off_by)} frames at most '
                f'({policy})',
                level,
            )

    def look_for_ties(self, pools: Sequence[RankPool], keys: Sequence[str], what: str) -> None:
        """Warn if a ranking has nothing to rank: all scores are equal, or are only 0 and 1.

        Args:
            pools (Sequence[RankPool]): All ranked scores.
            keys (Sequence[str]): Keys of the numbers from this ranking, without prefix.
            what (str): Plural noun for the ranked items, such as ``frames``.
        """
        self.meaningless = {}
        pools = [pool for pool in pools if pool.total]
        total = sum(pool.total for pool in pools)
        if total < 2:
            return
        low, high = min(pool.low for pool in pools), max(pool.high for pool in pools)
        ones = [pool.ones for pool in pools]
        advice = ". Saturated probabilities tie where their logits do not: rank_by='logits' ranks by logits"
        if low == high:
            why = f'all {total:,} {what} score {low:.3f}: they tie'
            self.meaningless = self.full_keys(dict.fromkeys(keys, why))
            self.log(
                f'{why}, so {", ".join(self.meaningless)} do not measure the model. Look at the loss, the learning '
                f'rate and the inputs (python tools/verify.py CONFIG){advice}'
            )
        elif None not in ones:
            share = sum(number or 0 for number in ones) / total
            self.log(f'all {total:,} {what} score 0 or 1, {share:.1%} of them 1: within both they tie{advice}')

    @contextmanager
    def warnings_to_log(self) -> Iterator[None]:
        """Write warnings of the pure functions ("NaN: no anomalous frame") to the run's log."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            yield
        for message in dict.fromkeys(str(warning.message) for warning in caught):
            self.log(message)


def field_of(sample: Mapping[str, Any], name: str, metric: str) -> Any:
    """A field of a sample, with tensors as numpy arrays on the CPU (half precision as float32).

    Raises:
        DataError: The sample has no such field; the message names the model or data set that should provide it.
    """
    value = sample.get(name)
    if value is None:
        origin = 'the model predicts no' if name.startswith('pred_') else 'the data set gives no'
        raise DataError(
            f'{metric} needs {name!r}, but {origin} {name!r} for {sample.get("video_id", "a sample")}. '
            f'Remove {metric} from the evaluator, or use a model and data set that have it'
        )
    return as_array(value)


def class_intervals_of(sample: Mapping[str, Any], metric: str) -> list[tuple[int, int, int]] | None:
    """Class index, first frame and last frame + 1 of each anomalous interval of a sample.

    Returns ``gt_class_intervals`` if the data set provides them, else ``gt_intervals``, all of class ``gt_label``, and
    None if the class of an interval is unknown.

    Raises:
        DataError: The sample has neither ``gt_class_intervals`` nor ``gt_label``.
    """
    known = sample.get('gt_class_intervals')
    if known is not None:
        intervals_of = [(int(index), int(start), int(end)) for index, start, end in known]
        return None if any(index < 0 for index, _, _ in intervals_of) else intervals_of
    label = int(field_of(sample, 'gt_label', metric))
    if label < 0:
        return None
    intervals = np.asarray(field_of(sample, 'gt_intervals', metric), dtype=np.int64).reshape(-1, 2)
    return [(label, start, end) for start, end in intervals.tolist()]


def two_dimensional(value: Any, name: str, sample: Mapping[str, Any]) -> np.ndarray:
    """The value as an array, checked to have two dimensions.

    Raises:
        DataError: It has another number of dimensions.
    """
    value = np.asarray(value)
    if value.ndim != 2:
        raise DataError(
            f'{sample.get("video_id")}: {name} has the shape {value.shape}; expected (N, K), a column for each class'
        )
    return value


def as_array(value: Any) -> Any:
    """A tensor as a numpy array; anything else unchanged."""
    if hasattr(value, 'detach'):  # a tensor; an isinstance check would load torch
        value = value.detach().cpu()
        is_half = value.is_floating_point() and value.element_size() == 2  # numpy has no bfloat16
        return (value.float() if is_half else value).numpy()
    return value


def one_dimensional(value: Any, name: str, sample: Mapping[str, Any]) -> np.ndarray:
    """The value as an array, checked to have one dimension.

    Raises:
        DataError: It has another number of dimensions.
    """
    value = np.asarray(value)
    if value.ndim != 1:
        raise DataError(f'{sample.get("video_id")}: {name} has the shape {value.shape}; expected one number per frame')
    return value


def choose(option: str, value: str, choices: Sequence[str]) -> str:
    """The value of an option, checked against its choices.

    Raises:
        ConfigError: ``value`` is not one of ``choices``.
    """
    value = _FORMER.get((option, value), value)
    if value not in choices:
        raise ConfigError(f'{option} is {value!r}; choose one of {", ".join(choices)}')
    return value
