"""VADLab: experiments in video anomaly detection with vision-language models, on MMEngine."""

from . import openmp

__version__ = '0.2.0'
