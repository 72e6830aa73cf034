"""Trained models as ONNX: export, and use with onnxruntime."""

from vadlab.utils.lazy_package import lazy_names

__getattr__ = lazy_names(__name__, __path__)
