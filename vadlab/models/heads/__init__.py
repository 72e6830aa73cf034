"""Heads: from embeddings to scores, boxes and classes."""

from vadlab.utils.lazy_package import lazy_names

__getattr__ = lazy_names(__name__, __path__)
