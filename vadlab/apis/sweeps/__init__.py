"""Search for the best settings of an experiment."""

from vadlab.utils.lazy_package import lazy_names

__getattr__ = lazy_names(__name__, __path__)
