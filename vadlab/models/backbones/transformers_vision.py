from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

from vadlab.checkpoints.hub import hub_folder
from vadlab.checkpoints.tensor_files import read_tensor_file
from vadlab.checkpoints.weights import check_float_weights
from vadlab.registry import MODELS
from vadlab.utils.errors import CheckpointError, ConfigError

from ..checkpoints.hugging_face_folder import WEIGHT_FILES, read_json_object
from ..data_preprocessors.pixel_data_preprocessor import CLIP_MEAN, CLIP_STD

OUTPUTS = ('auto', 'pooled', 'first', 'mean')
_FILES: list[tuple[str, ...]] = [('config.json', name, 'preprocessor_config.json') for name in WEIGHT_FILES]
_FILES += [('config.json', name) for name in WEIGHT_FILES]


@MODELS.register_module()
class TransformersVision(nn.Module):
    """Any vision model of transformers, by its Hugging Face id or folder: ViT, DINOv2, CLIP, SigLIP, ResNet.

    Of a model of pictures and text, such as CLIP, only the vision tower is loaded. The size, mean and standard
    deviation of pictures are those of ``preprocessor_config.json``;
    :class:`~vadlab.models.extractors.SnippetFeatureExtractor` and ``Look`` take them from here.

    ========== ========================================================================================================
    output     feature of a picture
    ========== ========================================================================================================
    ``pooled`` the model's own pooled output
    ``first``  the first token: the class token of a ViT
    ``mean``   the mean of all tokens, or of all positions of a convolutional network
    ``auto``   ``pooled`` if the model has one with trained weights; else ``first`` if there are more tokens than
               patches; else ``mean``
    ========== ========================================================================================================

    Args:
        pretrained (str | None): Id, such as ``facebook/dinov2-small``, or a folder with ``config.json`` and weights.
        arch (dict | None): Architecture without ``pretrained``: ``model_type`` and the settings of its config. None: a
            very small ViT with random weights, to try things.
        output (str): See above.

    Raises:
        ConfigError: ``output`` is unknown, or the model has no such output.
        CheckpointError: There is no such model, or it cannot be loaded, or lacks weights.
    """

    def __init__(self, pretrained: str | None = None, arch: dict | None = None, output: str = 'auto') -> None:
        super().__init__()
        if output not in OUTPUTS:
            raise ConfigError(f'TransformersVision: there is no output={output!r}. Known: {", ".join(OUTPUTS)}')
        self.pretrained, self.output = pretrained, output
        settings: dict[str, Any] = {}
        if pretrained is None:
            self.encoder = _random(arch)
            is_pooled = True
        else:
            self.encoder, settings, is_pooled = _load(pretrained)
        #: Mean and standard deviation of the pixels, on the scale 0..255.
        self.mean, self.std = _statistics(settings)
        #: Height and width of pictures.
        own = getattr(self.encoder.config, 'image_size', None)
        self.image_size: int = _side(settings) or _side({'size': own}) or 224
        try:
            with torch.inference_mode():
                found = self.encoder.eval()(pixel_values=torch.zeros(1, 3, self.image_size, self.image_size))
            tokens, has_pooled = found.last_hidden_state, getattr(found, 'pooler_output', None) is not None
        except Exception as error:  # models that take other inputs fail in many ways
            raise ConfigError(
                f'TransformersVision: {pretrained or "the model"} ({type(self.encoder).__name__}) gives no features of '
                f'pictures of {self.image_size} pixels: {_reason(error)}'
            ) from error
        if output == 'auto':
            patch = getattr(self.encoder.config, 'patch_size', None)
            patches = (self.image_size // patch) ** 2 if isinstance(patch, int) else tokens.shape[1]
            has_more = tokens.ndim == 3 and tokens.shape[1] > patches
            self.output = 'pooled' if has_pooled and is_pooled else 'first' if has_more else 'mean'
        elif output == 'pooled' and not (has_pooled and is_pooled):
            raise ConfigError(
                f'TransformersVision: {pretrained or "the model"} has no pooled output with trained weights. Set '
                "output='first' or 'mean'"
            )
        elif output == 'first' and tokens.ndim != 3:
            raise ConfigError("TransformersVision: a convolutional network has no first token. Set output='mean'")
        self.width: int = self._feature(found).shape[1]

    def _feature(self, found: Any) -> Tensor:
        if self.output == 'pooled':
            return found.pooler_output.flatten(1)
        tokens = found.last_hidden_state
        if self.output == 'first':
            return tokens[:, 0]
        return tokens.mean(1) if tokens.ndim == 3 else tokens.mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Features of pictures.

        Args:
            images (Tensor): Normalised by ``mean`` and ``std``, shape (n, 3, h, w).

        Returns:
            Tensor: Shape (n, d).
        """
        return self._feature(self.encoder(pixel_values=images))


def _statistics(settings: dict[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of red, green and blue, on the scale 0..255; CLIP's without settings."""
    if settings.get('do_normalize') is False:
        return (0.0,) * 3, (255.0,) * 3
    found = []
    for key, default in (('image_mean', CLIP_MEAN), ('image_std', CLIP_STD)):
        values = settings.get(key)
        is_known = isinstance(values, list) and len(values) == 3
        found.append(tuple(255 * float(value) for value in values) if is_known else default)  # type: ignore[union-attr]
    return found[0], found[1]


def _side(settings: dict[str, Any]) -> int | None:
    """Side of the pictures, from the entry ``crop_size`` or ``size``: a number, a pair, or a dict."""
    for key in ('crop_size', 'size'):
        value = settings.get(key)
        if isinstance(value, dict):
            value = value.get('height', value.get('shortest_edge'))
        if isinstance(value, list | tuple) and value:
            value = value[0]
        if isinstance(value, int) and value > 0:
            return value
    return None


def _random(arch: dict | None) -> Any:
    from transformers import AutoConfig, AutoModel

    settings = dict(arch) if arch is not None else dict(
        model_type='vit', hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        image_size=32, patch_size=16,
    )  # fmt: skip
    try:
        config = AutoConfig.for_model(**settings)
        return AutoModel.from_config(getattr(config, 'vision_config', config))
    except Exception as error:  # errors of configs have many types
        raise ConfigError(
            f'TransformersVision: arch={settings} is no model of transformers: {_reason(error)}'
        ) from error


def _load(source: str) -> tuple[Any, dict[str, Any], bool]:
    """The vision model, its settings of pictures, and whether the weights of its pooled output were in the files."""
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging

    folder = Path(source).expanduser()
    if not folder.is_dir():
        folder = hub_folder(source, _FILES)
    for path in sorted(folder.glob('pytorch_model*.bin')):
        read_tensor_file(path)  # transformers does not verify checksums
    file = folder / 'preprocessor_config.json'
    settings = read_json_object(file) if file.is_file() else {}
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # it warns about the unused text tower
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        config = getattr(config, 'vision_config', config)
        model, info = AutoModel.from_pretrained(
            folder, config=config, output_loading_info=True, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # errors of files, of the network and of configs have many types
        raise CheckpointError(
            f'The vision model {source!r} cannot be loaded: {_reason(error)} Give a Hugging Face id such as '
            'facebook/dinov2-small, or a folder with config.json and model.safetensors.'
        ) from error
    finally:
        logging.set_verbosity(verbosity)
    check_float_weights(dict(model.named_parameters()), source)
    missing = sorted(info['missing_keys'])
    other = [key for key in missing if 'pooler' not in key.split('.')]
    if other:
        raise CheckpointError(
            f'{source} lacks {len(other)} weights of {type(model).__name__} (first: {other[0]}). It is another model '
            'than its config.json describes.'
        )
    if not settings:
        MMLogger.get_current_instance().warning(
            f"{source} has no preprocessor_config.json: CLIP's mean and standard deviation of pixels are used"
        )
    return model.float(), settings, not missing


def _reason(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
