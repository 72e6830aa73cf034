"""Scoring of live cameras: reading, events, clips, alarms."""

from vadlab.utils.lazy_package import lazy_names

__getattr__ = lazy_names(__name__, __path__)
