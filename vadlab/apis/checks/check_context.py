"""What a check is given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from ..verification_report import VerificationReport

_SHOWN = 8  # names in one message


def names(found: list[str]) -> str:
    """The first of many names."""
    return ', '.join(found[:_SHOWN]) + (f', ... ({len(found)} in all)' if len(found) > _SHOWN else '')


@dataclass
class SplitUnderTest:
    """One of an experiment's data sets, read without its pipeline.

    Attributes:
        name (str): ``train``, ``val`` or ``test``.
        settings (dict): Its part of the config, with the pipeline.
        dataset (Any): The data set.
        samples (list[dict]): What is known of each sample; empty where the data set has no annotations.
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
    """What all checks share.

    Attributes:
        config (Config): The experiment.
        model (Any): Its model with its first weights; None where it could not be built.
        report (VerificationReport): Takes the findings.
        workers (int): Files looked at side by side, > 0.
        num_frames (int): Frames decoded of each video, > 0.
        cache_dir (str | None): Results of earlier looks at files.
        progress (Callable): Called with (done, total) while files are looked at.
    """

    config: Config
    model: Any
    report: VerificationReport
    workers: int
    num_frames: int
    cache_dir: str | None
    progress: Callable[[int, int], None]
