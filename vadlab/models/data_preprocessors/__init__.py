"""Data preprocessors: move a batch to the device, normalise, stack and pad it."""

from vadlab.utils.lazy_package import lazy_names

__getattr__ = lazy_names(__name__, __path__)
