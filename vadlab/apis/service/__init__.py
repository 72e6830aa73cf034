"""HTTP service that scores posted videos: jobs on disk, a process that scores, pages, and a client."""

from vadlab.utils.lazy_package import lazy_names

__getattr__ = lazy_names(__name__, __path__)
