from .concat_fusion import ConcatFusion
from .late_fusion import LateFusion
from .masked_mean_temporal_pooling import MaskedMeanTemporalPooling
from .mbt import MBT
from .mean_temporal_pooling import MeanTemporalPooling

__all__ = ['MBT', 'ConcatFusion', 'LateFusion', 'MaskedMeanTemporalPooling', 'MeanTemporalPooling']
