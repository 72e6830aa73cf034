"""Data sets: annotations and features on disk, one record per sample."""

from vadlab.utils.lazy_package import lazy_names

__getattr__ = lazy_names(__name__, __path__)
