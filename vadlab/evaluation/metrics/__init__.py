"""Metrics for the Runner: thin classes over the functions of vadlab.evaluation.functional."""

from vadlab.utils.lazy_package import lazy_names

__getattr__ = lazy_names(__name__, __path__)
