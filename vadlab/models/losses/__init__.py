from .hard_negative_loss import HardNegativeLoss
from .info_nce_loss import InfoNCELoss, caption_ids
from .negative_queue import NegativeQueue

__all__ = ['HardNegativeLoss', 'InfoNCELoss', 'NegativeQueue', 'caption_ids']
