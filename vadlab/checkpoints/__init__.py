"""Reading and writing weights: one safe reader, one writer, int8."""

from vadlab.utils.lazy_package import lazy_names

__getattr__ = lazy_names(__name__, __path__)
