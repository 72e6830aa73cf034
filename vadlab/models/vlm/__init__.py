"""Parts of methods that ask a vision-language model: windows, questions, clients, the cache of answers, refinement."""

from vadlab.utils.lazy_package import lazy_names

__getattr__ = lazy_names(__name__, __path__)
