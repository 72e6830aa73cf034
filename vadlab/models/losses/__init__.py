from .hard_negative_loss import HardNegativeLoss
from .info_nce_loss import InfoNCELoss, caption_ids
from .mil_ranking_loss import MILRankingLoss
from .negative_queue import NegativeQueue
from .probability_bce import probability_bce
from .supervised_contrastive_loss import SupervisedContrastiveLoss

__all__ = [
    'HardNegativeLoss',
    'InfoNCELoss',
    'MILRankingLoss',
    'NegativeQueue',
    'SupervisedContrastiveLoss',
    'caption_ids',
    'probability_bce',
]
