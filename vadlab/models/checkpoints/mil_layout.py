"""The names of tensors in the PyTorch ports of Sultani et al.'s MIL ranking."""

from collections.abc import Mapping

from torch import Tensor

from .public_layout import rename_tensors

# ekosman's network inside its trainer (without it, it has our names), and seminseok0429's. Each by its signature.
_LAYOUTS: dict[str, dict[str, str | None]] = {
    'model.fc3.weight': {r'model\.fc([123])': r'fc\1'},
    'classifier.6.weight': {
        r'classifier\.0': 'fc1',
        r'classifier\.3': 'fc2',
        r'classifier\.6': 'fc3',
        r'vars\..*': None,  # the same parameters a second time
    },
}


def from_mil_port(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """State dicts of two widely used ports in the names of MILRanking.

    https://github.com/ekosman/AnomalyDetectionCVPR2018-Pytorch saves whole pickled modules, which can run code when
    loaded; what is read here is the state dict taken out of one. The other is
    https://github.com/seominseok0429/Real-world-Anomaly-Detection-in-Surveillance-Videos-pytorch, which holds
    its parameters twice.

    Args:
        tensors (Mapping[str, Tensor]): A port's state dict, without ``module.`` prefixes.

    Returns:
        dict[str, Tensor] | None: Our state dict; None where it is another layout.

    Raises:
        CheckpointError: Tensors that this layout does not have.
    """
    for signature, rules in _LAYOUTS.items():
        found = rename_tensors(tensors, rules, signature, method='the MIL port')
        if found is not None:
            return found
    return None
