"""Shared functions of detectors with CLIP's frozen text tower."""

from collections.abc import Mapping, Sequence

from mmengine.logging import MMLogger

from vadlab.utils.errors import ConfigError
from vadlab.utils.suggest import nearest

from ..checkpoints.clip_loading import init_text_from_clip
from .snippet_detector import SnippetDetector


def class_phrases(classes: Sequence[str], prompts: Mapping[str, str] | None, method: str) -> list[str]:
    """Phrase of each class for the text tower: from ``prompts``, or else the class name.

    Args:
        classes (Sequence[str]): Class names; Normal comes first.
        prompts (Mapping[str, str] | None): Phrases by class name.
        method (str): Name of the detector, for messages.

    Raises:
        ConfigError: There is only one class, or a prompt is for an unknown class.
    """
    if len(classes) < 2:
        raise ConfigError(f'{method}: needs Normal and at least one abnormal class, got {list(classes)}.')
    for name in prompts or {}:
        if name not in classes:
            raise ConfigError(f'{method}: prompts: there is no class {name!r}. {nearest(name, list(classes))}')
    return [(prompts or {}).get(name, name) for name in classes]


def load_frozen_text(model: SnippetDetector, pretrained: str | None) -> None:
    """Initialise a model by loading ``pretrained`` into its text tower; warn if there is none.

    Nothing happens if the model is initialised already.

    Args:
        model (SnippetDetector): A detector with a ``text`` tower.
        pretrained (str | None): See :func:`~vadlab.models.checkpoints.clip_loading.load_clip_checkpoint`.
    """
    if model.is_init:
        return
    model._is_init = True  # its parts are initialised; BaseModel's init_weights would log every parameter
    if pretrained is not None:
        init_text_from_clip(model, pretrained)
    else:
        MMLogger.get_current_instance().warning(
            f'{type(model).__name__}: the frozen text tower has random weights; set pretrained to the CLIP of the '
            'features.'
        )
