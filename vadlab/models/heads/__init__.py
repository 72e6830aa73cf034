from .classification_head import ClassificationHead
from .grid_proposals import GridProposals
from .grounding_head import GroundingHead
from .maskclip_head import MaskCLIPHead, NamedPatches
from .mmdet_proposals import MMDetProposals
from .prompt_scoring_head import PromptScoringHead

__all__ = [
    'ClassificationHead',
    'GridProposals',
    'GroundingHead',
    'MMDetProposals',
    'MaskCLIPHead',
    'NamedPatches',
    'PromptScoringHead',
]
