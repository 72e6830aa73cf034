"""Weights of other code: CLIP's files and the layouts of methods' authors."""

from vadlab.utils.lazy_package import lazy_names

__getattr__ = lazy_names(__name__, __path__)
