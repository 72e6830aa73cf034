"""Report pages of videos and of pictures, from jinja2 templates."""

from vadlab.utils.lazy_package import lazy_names

__getattr__ = lazy_names(__name__, __path__)
