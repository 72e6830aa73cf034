"""What every metric of ours shares."""

import logging
import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from vadlab.utils.errors import ConfigError, DataError
from vadlab.utils.run_log import log

_T = TypeVar('_T')

# What a ranking looks at: unbounded logits, or probabilities.
RANK_BY = ('logits', 'scores')
# Values that had another name in version 0.1.
_FORMER = {('rank_by', 'margins'): 'logits'}

# The last frames of a video, which fill no snippet, have no score of their own: that is no mismatch.
SNIPPET_FRAMES = 16


class ProtocolMetric(metaclass=ABCMeta):
    """A metric over :class:`~vadlab.structures.VADDataSample` predictions.

    A subclass turns one sample into one small result (:meth:`process_sample`: a dict of ``sample_id`` and 1-D arrays,
    so that results are cheap to gather over ranks) and the results of all videos into numbers
    (:meth:`compute_metrics`, main process only). It declares ``default_prefix`` and ``higher_is_better``, and says by
    :attr:`protocol` how each number came about.

    It has the interface of MMEngine's ``BaseMetric`` without deriving from it: ``tools/eval_scores.py`` computes with
    the same classes and loads neither MMEngine nor torch.

    Args:
        collect_device (str): ``cpu`` or ``gpu``, the way results of several processes are gathered.
        prefix (str | None): Stands before the names of the numbers; ``default_prefix`` where None.
    """

    default_prefix: str = ''  # the names of the numbers are complete as they are
    higher_is_better: dict[str, bool] = {}

    def __init__(self, collect_device: str = 'cpu', prefix: str | None = None) -> None:
        self.collect_device = collect_device
        self.collect_dir: str | None = None
        self.prefix = prefix or self.default_prefix
        #: What :meth:`process_sample` returned, in the order of the samples.
        self.results: list[dict[str, Any]] = []
        self._dataset_meta: dict | None = None
        #: Numbers of the last evaluation that do not measure the model, by full key, and why.
        self.meaningless: dict[str, str] = {}

    @property
    def dataset_meta(self) -> dict | None:
        """What the data set tells of itself; set before anything is trained or tested."""
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
        """The small result of one sample."""

    @abstractmethod
    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """The numbers over the results of all samples, by name without prefix."""

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Keep one result per sample. MMEngine's evaluator hands the samples over as dicts."""
        for sample in data_samples:
            fields = sample if isinstance(sample, Mapping) else sample.to_dict()
            self.results.append(self.process_sample(fields))

    def evaluate(self, size: int) -> dict[str, float]:
        """The numbers over the results of all processes, by full key; MMEngine gathers these, and clears them.

        Args:
            size (int): Samples of the data set; what a loader repeats to fill its last batch does not count.
        """
        from mmengine.evaluator import BaseMetric

        return BaseMetric.evaluate(self, size)  # type: ignore[arg-type]

    def numbers(self) -> dict[str, float]:
        """The numbers over the results of this process alone, by full key."""
        return self.full_keys(self.compute_metrics(self.results))

    def checked(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The results with each video once.

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
        """The same values under keys that carry the prefix."""
        return {f'{self.prefix}/{key}' if self.prefix else key: value for key, value in values.items()}

    def log(self, message: str, level: int = logging.WARNING) -> None:
        """Say something in the run's log."""
        log(f'{type(self).__name__}: {message}', level)

    def log_other_lengths(self, off_by: Sequence[int], policy: str) -> None:
        """Say how many videos had more or fewer scores than frames; loudly only where it is a snippet or more.

        Args:
            off_by (Sequence[int]): Frames by which each video's scores are off, >= 0.
            policy (str): What was done about it.
        """
        touched = sum(frames > 0 for frames in off_by)
        if touched:
            level = logging.INFO if max(off_by) < SNIPPET_FRAMES else logging.WARNING
            self.log(
                f'{touched} of {len(off_by)} videos had scores of another length, by {max(off_by)} frames at most '
                f'({policy})',
                level,
            )

    def look_for_ties(self, scores: np.ndarray, keys: Sequence[str], what: str) -> None:
        """Tell that a ranking has nothing to rank: all scores are equal, or 0 and 1 alone.

        Args:
            scores (np.ndarray): All that is ranked, shape (N,).
            keys (Sequence[str]): Numbers that come from the ranking, without prefix.
            what (str): What has a score each, such as ``frames``.
        """
        self.meaningless = {}
        if len(scores) < 2:
            return
        low, high = scores.min(), scores.max()
        advice = ". Saturated probabilities tie where their logits do not: rank_by='logits' ranks by logits"
        if low == high:
            why = f'all {len(scores):,} {what} score {low:.3f}: they tie'
            self.meaningless = self.full_keys(dict.fromkeys(keys, why))
            self.log(
                f'{why}, so {", ".join(self.meaningless)} do not measure the model. Look at the loss, the learning '
                f'rate and the inputs (python tools/verify.py CONFIG){advice}'
            )
        elif low == 0 and high == 1 and np.isin(scores, (0, 1)).all():
            share = np.mean(scores == 1)
            self.log(f'all {len(scores):,} {what} score 0 or 1, {share:.1%} of them 1: within both they tie{advice}')

    @contextmanager
    def warnings_to_log(self) -> Iterator[None]:
        """Warnings of the pure functions ("NaN: no anomalous frame") belong into the run's log."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            yield
        for message in dict.fromkeys(str(warning.message) for warning in caught):
            self.log(message)


def field_of(sample: Mapping[str, Any], name: str, metric: str) -> Any:
    """A field of a sample, tensors as numpy arrays on the CPU (half precision as float32).

    Raises:
        DataError: The sample has no such field; the message says who was to put it there.
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
    """Class index, first frame and frame after the last of each anomalous interval of a sample.

    ``gt_class_intervals`` where the data set gives them, else ``gt_intervals``, all of the class ``gt_label``. None
    where an interval is anomalous, and nothing says of which class.

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
    """The array itself.

    Raises:
        DataError: It has more or fewer dimensions than two.
    """
    value = np.asarray(value)
    if value.ndim != 2:
        raise DataError(
            f'{sample.get("video_id")}: {name} has the shape {value.shape}; expected (N, K), a column for each class'
        )
    return value


def as_array(value: Any) -> Any:
    """A tensor as a numpy array; anything else unchanged."""
    if hasattr(value, 'detach'):  # a tensor; asking for its class would load torch
        value = value.detach().cpu()
        is_half = value.is_floating_point() and value.element_size() == 2  # numpy has no bfloat16
        return (value.float() if is_half else value).numpy()
    return value


def one_dimensional(value: Any, name: str, sample: Mapping[str, Any]) -> np.ndarray:
    """The array itself.

    Raises:
        DataError: It has more or fewer dimensions than one.
    """
    value = np.asarray(value)
    if value.ndim != 1:
        raise DataError(f'{sample.get("video_id")}: {name} has the shape {value.shape}; expected one number per frame')
    return value


def choose(option: str, value: str, choices: Sequence[str]) -> str:
    """The value of an option that has few.

    Raises:
        ConfigError: ``value`` is none of ``choices``.
    """
    value = _FORMER.get((option, value), value)
    if value not in choices:
        raise ConfigError(f'{option} is {value!r}; choose one of {", ".join(choices)}')
    return value
