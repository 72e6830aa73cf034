"""Figures over many samples: curves, bars and matrices."""

from vadlab.utils.lazy_package import lazy_names

__getattr__ = lazy_names(__name__, __path__)
