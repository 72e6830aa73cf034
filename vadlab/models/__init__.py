from . import backbones, checkpoints, data_preprocessors, detectors, heads, layers, losses, necks, tokenizers
