from .amp_optim_wrapper import AmpOptimWrapper
from .named_groups_constructor import NamedGroupsConstructor
from .warmup_cosine_lr import WarmupCosineLR

__all__ = ['AmpOptimWrapper', 'NamedGroupsConstructor', 'WarmupCosineLR']
