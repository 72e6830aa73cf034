"""From the tensor names of UR-DMU's public checkpoints to ours."""

from torch import Tensor

from .public_layout import rename_tensors

_RULES = {
    r'embedding\.conv_1\.0': 'embedding',
    r'selfatt\.layers\.(\d+)\.0\.norm': r'blocks.\1.norm1',
    r'selfatt\.layers\.(\d+)\.0\.fn\.to_qkv': r'blocks.\1.qkvl',
    r'selfatt\.layers\.(\d+)\.0\.fn\.to_out\.0': r'blocks.\1.out',
    r'selfatt\.layers\.(\d+)\.1\.norm': r'blocks.\1.norm2',
    r'selfatt\.layers\.(\d+)\.1\.fn\.net\.(\d)': r'blocks.\1.mlp.\2',
    r'Amemory\.memory_block': 'abnormal_memory.slots',
    r'Nmemory\.memory_block': 'normal_memory.slots',
    r'encoder_mu\.0': 'latent_mean',
    r'encoder_var\.0': 'latent_log_var',
    r'cls_head\.mlp\.(\d)': r'classifier.\1',
}


def from_urdmu(tensors: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """``ucf_trans_2022.pkl`` and ``xd_trans_2022.pkl`` of https://github.com/henrryzh1/UR-DMU in the names of URDMU.

    Args:
        tensors (dict[str, Tensor]): The authors' state dict.

    Returns:
        dict[str, Tensor] | None: Ours; None where it is another layout.

    Raises:
        CheckpointError: Tensors that this layout does not have.
    """
    return rename_tensors(tensors, _RULES, signature='Amemory.memory_block', method='UR-DMU')
