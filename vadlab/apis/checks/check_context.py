"""The arguments of a check."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from vadlab.utils.many_files import Engine

from ..verification_report import VerificationReport

_SHOWN = 8  # names in one message


def names(found: list[str]) -> str:
    """The first names of a list, as text."""
    return ', '.join(found[:_SHOWN]) + (f', ... ({len(found)} in all)' if len(found) > _SHOWN else '')


@dataclass
class SplitUnderTest:
    """One of an experiment's data sets, read without its pipeline.

    Attributes:
        name (str): ``train``, ``val`` or ``test``.
        settings (dict): Its settings in the config, with the pipeline.
        dataset (Any): The data set.
        samples (list[dict]): The record of each sample; empty if the data set has no annotations.
    """

    name: str
    settings: dict
    dataset: Any
    samples: list[dict]

    def transform(self, kind: str) -> dict | None:
        """The settings of the first transform of a type in the pipeline."""
        return next((step for step in self.settings.get('pipeline') or [] if step['type'] == kind), None)


@dataclass
class CheckContext:
    """The arguments that all checks share.

    Attributes:
        config (Config): The experiment.
        model (Any): Its model with initial weights; None if it could not be built.
        report (VerificationReport): Collects the findings.
        engine (Engine): What checks many files.
        num_frames (int): Frames to decode per video, > 0.
        cache_dir (str | None): Folder with results of earlier file checks.
        progress (Callable): Called with (done, total) while files are checked.
    """

    config: Config
    model: Any
    report: VerificationReport
    engine: Engine
    num_frames: int
    cache_dir: str | None
    progress: Callable[[int, int], None]
