"""Parameter groups by name."""

import re
from typing import Any

from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import nn

from vadlab.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from vadlab.utils.errors import ConfigError


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class NamedGroupsConstructor:
    r"""Builds an optimizer with a few named parameter groups.

    MMEngine's ``custom_keys`` match any part of a name, so ``text`` also matches ``text_projection``, and every
    parameter becomes its own group. Here the regular expression of a group must match the *whole* name of a parameter.
    The first matching group is used, and every trainable parameter must be in a group. The learning rate of a group is
    logged as ``<name>_lr``.

    Args:
        optim_wrapper_cfg (dict): Config of the wrapper, with ``optimizer``.
        paramwise_cfg (dict | None): ``groups``, a dict from group name to ``pattern`` and options of the optimizer for
            this group (``lr``, ``weight_decay``, ...).

    Raises:
        ConfigError: A pattern matches no parameter, or a trainable parameter matches no pattern.

    Example:
        >>> paramwise_cfg = dict(groups=dict(
        ...     temperatures=dict(pattern=r'logit_scale.*', lr=1e-4, weight_decay=0.0),
        ...     rest=dict(pattern=r'.*')))
    """

    def __init__(self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None) -> None:
        self.wrapper_cfg = dict(optim_wrapper_cfg)
        if 'optimizer' not in self.wrapper_cfg:
            raise ConfigError('optim_wrapper needs an optimizer, such as optimizer=dict(type="AdamW", lr=1e-5).')
        self.optimizer_cfg = dict(self.wrapper_cfg.pop('optimizer'))
        self.groups = dict((paramwise_cfg or {}).get('groups') or {'all': {'pattern': '.*'}})
        unknown = set(paramwise_cfg or {}) - {'groups'}
        if unknown:
            raise ConfigError(f'NamedGroupsConstructor: paramwise_cfg takes "groups" only, not {sorted(unknown)}.')
        for name, group in self.groups.items():
            if 'pattern' not in group:
                raise ConfigError(f'NamedGroupsConstructor: group {name!r} has no pattern.')
            try:
                re.compile(group['pattern'])
            except re.error as error:
                raise ConfigError(
                    f'NamedGroupsConstructor: the pattern {group["pattern"]!r} of group {name!r} is not a regular '
                    f'expression: {error}.'
                ) from error

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the wrapper with an optimizer of the model's trainable parameters."""
        model = getattr(model, 'module', model)
        members: dict[str, list[nn.Parameter]] = {name: [] for name in self.groups}
        hits = dict.fromkeys(self.groups, 0)
        left = []
        for name, parameter in model.named_parameters():
            group = next((g for g, c in self.groups.items() if re.fullmatch(c['pattern'], name)), None)
            if group is not None:
                hits[group] += 1
            if not parameter.requires_grad:
                continue
            if group is None:
                left.append(name)
            else:
                members[group].append(parameter)
        empty = [f'{g} ({self.groups[g]["pattern"]})' for g, n in hits.items() if not n]
        if empty:
            raise ConfigError(
                f'Optimizer groups that match no parameter of {type(model).__name__}: {", ".join(empty)}.'
            )
        if left:
            raise ConfigError(
                f'{len(left)} trainable parameters are in no optimizer group (first: {", ".join(left[:3])}). '
                'Add a group to optim_wrapper.paramwise_cfg.groups.'
            )
        groups = []
        for name, parameters in members.items():
            if parameters:
                options = {k: v for k, v in self.groups[name].items() if k != 'pattern'}
                groups.append({'params': parameters, 'name': name, **options})
                count = sum(p.numel() for p in parameters)
                described = ', '.join(f'{k} {v:g}' for k, v in options.items())
                print_log(f'Optimizer group {name}: {count:,} parameters, {described or "defaults"}', logger='current')
        if frozen := sum(p.numel() for p in model.parameters() if not p.requires_grad):
            print_log(f'Frozen: {frozen:,} parameters', logger='current')
        optimizer = OPTIMIZERS.build({**self.optimizer_cfg, 'params': groups})
        return OPTIM_WRAPPERS.build({'type': 'OptimWrapper', **self.wrapper_cfg, 'optimizer': optimizer})
