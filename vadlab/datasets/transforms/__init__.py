"""Transforms: the steps of a pipeline, from a path to packed inputs."""

from vadlab.utils.lazy_package import lazy_names

__getattr__ = lazy_names(__name__, __path__)
