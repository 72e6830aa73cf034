"""Which thresholds of events a scorer uses. This module needs neither torch nor MMEngine."""

from collections.abc import Mapping

from vadlab.evaluation.calibration import UNCALIBRATED, CalibrationFile
from vadlab.structures.video_result import Thresholds


class EventThresholds:
    """Part of a class that finds events: the thresholds that were given, or calibrated, or a probability of 0.5.

    Attributes:
        thresholds (Thresholds | None): Those that were given.
    """

    thresholds: Thresholds | None

    def calibration(self) -> CalibrationFile | None:
        """The calibration that is valid for the weights, the sampling and the prompts in use, if any."""
        raise NotImplementedError

    def chosen_thresholds(self) -> Thresholds:
        """The thresholds of the events: those that were given, or calibrated, or a probability of 0.5."""
        if self.thresholds is not None:
            return self.thresholds
        found = self.calibration()
        return UNCALIBRATED if found is None else found.thresholds

    def use_thresholds(self, given: Mapping[str, float]) -> None:
        """Replace some values of the chosen thresholds; see :meth:`Thresholds.changed`."""
        if given:
            self.thresholds = self.chosen_thresholds().changed(given)
