from .masked_mean_temporal_pooling import MaskedMeanTemporalPooling
from .mean_temporal_pooling import MeanTemporalPooling

__all__ = ['MaskedMeanTemporalPooling', 'MeanTemporalPooling']
