"""VADLab: experiments in video anomaly detection with vision-language models, on MMEngine."""

__version__ = '0.1.0'
