from . import backbones, checkpoints, data_preprocessors, detectors, layers, losses, necks, tokenizers  # noqa: F401
