"""Tensor names of a transformer of ``GlobalLocalBlock`` in the authors' checkpoints.

UR-DMU (https://github.com/henrryzh1/UR-DMU) and the methods built on its code share them.
"""

#: Rules for :func:`~vadlab.models.checkpoints.public_layout.rename_tensors`: the first convolution and the blocks.
GLOBAL_LOCAL_RULES = {
    r'embedding\.conv_1\.0': 'embedding',
    r'selfatt\.layers\.(\d+)\.0\.norm': r'blocks.\1.norm1',
    r'selfatt\.layers\.(\d+)\.0\.fn\.to_qkv': r'blocks.\1.qkvl',
    r'selfatt\.layers\.(\d+)\.0\.fn\.to_out\.0': r'blocks.\1.out',
    r'selfatt\.layers\.(\d+)\.1\.norm': r'blocks.\1.norm2',
    r'selfatt\.layers\.(\d+)\.1\.fn\.net\.(\d)': r'blocks.\1.mlp.\2',
}
