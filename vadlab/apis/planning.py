"""Time, storage and network for a number of videos, from measured rates; ``docs/planning.md`` shows its tables."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vadlab.utils.errors import ConfigError

SNIPPET_LEN = 16
DAY, YEAR = 24.0, 24.0 * 365.25  # hours


@dataclass(frozen=True)
class Rates:
    """Rates of one core, measured as ``docs/planning.md`` describes.

    Attributes:
        decode_fps (float): Frames of a video per second of a core, where every 16th is used.
        model_fps (float): Frames that the model of a core, or a GPU, embeds per second.
        start_ms (float): Milliseconds of a core per feature file at the start of a data set.
        start_kb (float): KB of memory per feature file at the start, at the peak.
        eval_s (float): Seconds of a core per million frames of an evaluation.
        eval_bytes (float): Bytes of memory per frame of an evaluation.

    Raises:
        ConfigError: A number is not above 0, or infinite.
    """

    decode_fps: float = 7900
    model_fps: float = 2.4
    start_ms: float = 0.05
    start_kb: float = 3.0
    eval_s: float = 0.091
    eval_bytes: float = 1.7

    def __post_init__(self) -> None:
        _check_positive(vars(self))


@dataclass(frozen=True)
class Work:
    """Videos to plan for, and the machines.

    Attributes:
        videos (int): Number of videos.
        hours (float): Their length.
        gb_per_hour (float): Size of the video files, GB per hour.
        fps (float): Frames per second of the videos.
        crops (int): Crops of the features.
        channels (int): Channels of the features.
        nodes (int): Machines.
        cores (int): Cores of each.
        gpus (int): GPUs of each; then ``Rates.model_fps`` is that of a GPU.
        gbit (float): Network of each machine, Gbit/s.
        epochs (int): Epochs of training.
        test_share (float): Share of the frames that is tested.

    Raises:
        ConfigError: A number is not above 0, or infinite.
    """

    videos: int = 1900
    hours: float = 128
    gb_per_hour: float = 0.05
    fps: float = 30
    crops: int = 10
    channels: int = 512
    nodes: int = 1
    cores: int = 16
    gpus: int = 0
    gbit: float = 10
    epochs: int = 10
    test_share: float = 0.08

    def __post_init__(self) -> None:
        _check_positive({name: value for name, value in vars(self).items() if name != 'gpus' or value != 0})
        if self.test_share > 1:
            raise ConfigError(f'test_share is {self.test_share:g}; it is a share of the frames, up to 1')

    @property
    def frames(self) -> float:
        """Frames of all videos."""
        return self.hours * 3600 * self.fps

    @property
    def files(self) -> int:
        """Feature files: one per video and crop."""
        return self.videos * self.crops

    @property
    def feature_bytes(self) -> float:
        """Size of the features in float16."""
        return self.frames / SNIPPET_LEN * self.crops * self.channels * 2


@dataclass(frozen=True)
class Step:
    """One step of a plan.

    Attributes:
        name (str): What is done.
        hours (float): How long it takes.
        core_hours (float): Hours of one core or GPU; 0 if the network decides.
        note (str): Storage, memory or network.
        advice (str): What helps if it is beyond its limit.
        load (float): Multiple of its limit; the step with the highest breaks first.
    """

    name: str
    hours: float
    core_hours: float
    note: str
    advice: str
    load: float


def make_plan(work: Work, rates: Rates | None = None) -> list[Step]:
    """Steps from video files to an evaluation.

    Times assume that nothing is lost by spreading the work: add what your cluster loses. A step is beyond its limit if
    it takes more than a day, a start more than a thousandth of a day, or a process more than 64 GB of memory.
    """
    rates = rates or Rates()
    cores = work.nodes * work.cores
    decode = work.frames / rates.decode_fps / 3600
    sampled = work.frames / SNIPPET_LEN * work.crops
    model = sampled / rates.model_fps / 3600
    units = work.nodes * work.gpus or cores
    video_bytes = work.hours * work.gb_per_hour * 1e9
    start = work.files * rates.start_ms / 3.6e6
    memory = work.files * rates.start_kb * 1e3
    tested = work.frames * work.test_share
    reading = _transfer(work, video_bytes)
    epochs = _transfer(work, work.feature_bytes * work.epochs)
    evaluation = tested / 1e6 * rates.eval_s / 3600
    device = 'GPUs' if work.gpus else 'CPUs'
    features = _size(work.feature_bytes)
    return [
        Step(
            name='read the videos once',
            hours=reading,
            core_hours=0,
            note=f'{_size(video_bytes)}, network',
            advice='faster storage',
            load=reading / DAY,
        ),
        Step(
            name='decode every 16th frame',
            hours=decode / cores,
            core_hours=decode,
            note=f'{_count(work.frames)} frames',
            advice='more cores',
            load=decode / cores / DAY,
        ),
        Step(
            name=f'embed {work.crops} crops on {device}',
            hours=model / units,
            core_hours=model,
            note=f'{_count(sampled)} pictures, {features} disk',
            advice='fewer crops, more GPUs' if work.gpus else 'GPUs, fewer crops',
            load=model / units / DAY,
        ),
        Step(
            name='start of a training',
            hours=start,
            core_hours=start,
            note=f'{work.files:,} files, {_size(memory)} RAM',
            advice='all crops in one file (T, C, D), fewer crops',
            load=max(start / (DAY / 1000), memory / 64e9),
        ),
        Step(
            name=f'read the features {work.epochs} times',
            hours=epochs,
            core_hours=0,
            note=f'{_size(work.feature_bytes * work.epochs)}, network',
            advice='a copy on each machine, one crop in training',
            load=epochs / DAY,
        ),
        Step(
            name='evaluate',
            hours=evaluation,
            core_hours=evaluation,
            note=f'{_count(tested)} frames, {_size(tested * rates.eval_bytes)} RAM',
            advice='scores of snippets, not of frames',
            load=max(evaluation / DAY, tested * rates.eval_bytes / 64e9),
        ),
    ]


def table_of(steps: Sequence[Step]) -> list[tuple[str, str, str, str]]:
    """Rows of a plan for people: what, time, time of one core or GPU, note."""
    return [(step.name, _time(step.hours), _time(step.core_hours), step.note) for step in steps]


def breaks_first(steps: Sequence[Step]) -> list[str]:
    """What is beyond its limit, the worst first, with what helps."""
    beyond = sorted((step for step in steps if step.load > 1), key=lambda step: -step.load)
    return [f'{step.name} ({_time(step.hours)}): {step.advice}' for step in beyond]


def _check_positive(numbers: Mapping[str, float]) -> None:
    for name, value in numbers.items():
        if not (value > 0 and math.isfinite(value)):
            raise ConfigError(f'{name} is {value:g}; it must be a number above 0')


def _transfer(work: Work, size: float) -> float:
    return size / (work.nodes * work.gbit / 8 * 1e9) / 3600


def _time(hours: float) -> str:
    if not hours:
        return '-'
    for limit, unit, factor in (
        (1 / 60, 's', 3600.0),
        (1.0, 'min', 60.0),
        (DAY * 2, 'h', 1.0),
        (YEAR, 'days', 1 / DAY),
    ):
        if hours < limit:
            return f'{float(f"{hours * factor:.2g}"):g} {unit}'
    return f'{float(f"{hours / YEAR:.2g}"):g} years'


def _count(number: float) -> str:
    if number < 1e6:
        return f'{number:,.0f}'
    return f'{number / 1e6:.3g} million' if number < 1e9 else f'{number / 1e9:.3g} billion'


def _size(count: float) -> str:
    for limit, unit, factor in ((1e9, 'MB', 1e6), (1e12, 'GB', 1e9), (1e15, 'TB', 1e12)):
        if count < limit:
            return f'{count / factor:.3g} {unit}'
    return f'{count / 1e15:.3g} PB'
