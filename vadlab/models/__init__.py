from . import (
    backbones,
    captioners,
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
