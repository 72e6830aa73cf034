"""Sharing models and features on the Hugging Face hub: files, cards, upload."""

from vadlab.utils.lazy_package import lazy_names

__getattr__ = lazy_names(__name__, __path__)
