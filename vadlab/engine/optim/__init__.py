from .amp_optim_wrapper import AmpOptimWrapper
from .group_cosine_lr import GroupCosineLR
from .named_groups_constructor import NamedGroupsConstructor
from .stable_adamw import StableAdamW
from .warmup_cosine_lr import WarmupCosineLR

__all__ = ['AmpOptimWrapper', 'GroupCosineLR', 'NamedGroupsConstructor', 'StableAdamW', 'WarmupCosineLR']
