from . import (
    backbones,
    checkpoints,
    data_preprocessors,
    detectors,
    extractors,
    heads,
    layers,
    losses,
    necks,
    recognizers,
    tokenizers,
)
