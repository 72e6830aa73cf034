"""The names of tensors in RTFM's public checkpoints."""

from collections.abc import Mapping

from torch import Tensor

from .public_layout import rename_tensors

_RULES = {
    r'Aggregate\.conv_1\.0': 'temporal.dilated.0.conv',
    r'Aggregate\.conv_1\.2': 'temporal.dilated.0.norm',
    r'Aggregate\.conv_2\.0': 'temporal.dilated.1.conv',
    r'Aggregate\.conv_2\.2': 'temporal.dilated.1.norm',
    r'Aggregate\.conv_3\.0': 'temporal.dilated.2.conv',
    r'Aggregate\.conv_3\.2': 'temporal.dilated.2.norm',
    r'Aggregate\.conv_4\.0': 'temporal.reduce',
    r'Aggregate\.conv_5\.0': 'temporal.fuse.conv',
    r'Aggregate\.conv_5\.2': 'temporal.fuse.norm',
    r'Aggregate\.non_local\.theta': 'temporal.non_local.query',
    r'Aggregate\.non_local\.phi': 'temporal.non_local.key',
    r'Aggregate\.non_local\.g': 'temporal.non_local.value',
    r'Aggregate\.non_local\.W\.0': 'temporal.non_local.out',
    r'Aggregate\.non_local\.W\.1': 'temporal.non_local.norm',
    'fc1': 'fc1',
    'fc2': 'fc2',
    'fc3': 'fc3',
}


def from_rtfm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """The ``.pkl`` files of https://github.com/tianyu0207/RTFM in the names of RTFM.

    Args:
        tensors (Mapping[str, Tensor]): The authors' state dict, without ``module.`` prefixes.

    Returns:
        dict[str, Tensor] | None: Our state dict; None where it is another layout.

    Raises:
        CheckpointError: Tensors that this layout does not have.
    """
    return rename_tensors(tensors, _RULES, signature='Aggregate.conv_1.0.weight', method='RTFM')
