"""The names of tensors in the PyTorch ports of Sultani et al.'s MIL ranking."""

from collections.abc import Mapping

from torch import Tensor

from .layer_renaming import rename_layers

# ekosman's network, the same inside its trainer, seominseok0429's.
_LAYOUTS = (
    {'fc1': 'fc1', 'fc2': 'fc2', 'fc3': 'fc3'},
    {'model.fc1': 'fc1', 'model.fc2': 'fc2', 'model.fc3': 'fc3'},
    {'classifier.0': 'fc1', 'classifier.3': 'fc2', 'classifier.6': 'fc3'},
)


def from_mil_port(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """State dicts of two widely used ports in the names of MILRanking.

    https://github.com/ekosman/AnomalyDetectionCVPR2018-Pytorch saves whole pickled modules, which can run code when
    loaded; what is read here is the state dict taken out of one. The other is
    https://github.com/seominseok0429/Real-world-Anomaly-Detection-in-Surveillance-Videos-pytorch, whose ``vars.*`` are
    the same parameters a second time.

    Args:
        tensors (Mapping[str, Tensor]): A port's state dict, without ``module.`` prefixes.

    Returns:
        dict[str, Tensor] | None: Our state dict; None where it is another layout.
    """
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith('vars.')}
    return next((found for layout in _LAYOUTS if (found := rename_layers(tensors, layout)) is not None), None)
