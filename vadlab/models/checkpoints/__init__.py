"""Loading weights of other code: CLIP files, and checkpoints of the methods' authors."""

from vadlab.utils.lazy_package import lazy_names

__getattr__ = lazy_names(__name__, __path__)
