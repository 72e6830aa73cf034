import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from torch import Tensor, nn

from vadlab.checkpoints.hub import hub_folder
from vadlab.checkpoints.saved_config import read_saved_config
from vadlab.checkpoints.tensor_files import read_tensor_file
from vadlab.checkpoints.weights import check_float_weights, check_weights, weights_in
from vadlab.utils.errors import CheckpointError
from vadlab.utils.json_file import parse_json
from vadlab.utils.required_files import require_clip_weights

from ..backbones.clip_text_transformer import CLIPTextTransformer
from ..backbones.clip_vision_transformer import CLIPVisionTransformer
from ..layers.logit_scale import MAX_LOGIT_SCALE, log_logit_scales
from .clip_weights import CLIPWeights
from .hugging_face_folder import WEIGHT_FILES, read_folder_weights, read_json_object
from .renaming import from_hugging_face, from_openai, from_vadlab
from .tower_settings import CONFIG_FILES, tower_settings

_OPEN_CLIP_FILES = ('open_clip_model.safetensors', 'open_clip_pytorch_model.bin')
_FILE_SETS = [
    *(('config.json', name) for name in WEIGHT_FILES),
    *(('open_clip_config.json', name) for name in _OPEN_CLIP_FILES),
]
# Far above ln 100 = 4.6052, the highest of CLIP's: a factor was stored, not its logarithm.
_MOST_LOGIT_SCALE = 10.0
_BEYOND_CLIP = ('adapters.', 'prompts.')


def load_clip_checkpoint(path_or_id: str | Path) -> CLIPWeights:
    """Read a CLIP model in any of the known formats; no code in the file is executed.

    Known formats: OpenAI's archives (``ViT-B-32.pt``, TorchScript or a state dict), OpenCLIP's models with plain
    towers, Hugging Face folders and ids of CLIP and FG-CLIP (``model.safetensors``, sharded, or ``pytorch_model.bin``),
    and VADLab's own ``.safetensors`` and ``.pth``.

    The number of heads and the activation do not follow from tensor shapes. They come from the file itself (VADLab's
    and OpenAI's), or from ``open_clip_config.json`` or ``config.json`` in the same folder; otherwise they are None.

    Args:
        path_or_id (str | Path): A file, a folder, or a Hugging Face id such as ``openai/clip-vit-base-patch32``, which
            is downloaded if it is not in the local cache.

    Returns:
        CLIPWeights: float32 tensors under our names.

    Raises:
        MissingFileError: The file or folder does not exist.
        CheckpointError: The file is damaged, unsafe, not a CLIP, or cannot be downloaded.
    """
    path, name = Path(path_or_id).expanduser(), str(path_or_id)
    try:
        require_clip_weights(name)
        if path.is_dir():
            weights = _read_folder(path, str(path))
        elif path.is_file():
            weights = _read_file(path)
        else:
            weights = _read_folder(hub_folder(name, _FILE_SETS), name)
    except CheckpointError:
        raise
    except (
        TypeError,
        ValueError,
        IndexError,
        RuntimeError,
    ) as error:  # the number of dimensions of a tensor is wrong for a CLIP
        reason = (str(error).splitlines() or [''])[0][:120]
        raise CheckpointError(
            f"{name} is not a CLIP: its tensors have other shapes than a CLIP's ({reason})."
        ) from error
    check_float_weights(weights.state_dict(), weights.source)
    for key, value in weights.extras.items():
        if key.startswith('logit_scale') and abs(float(value)) > _MOST_LOGIT_SCALE:
            raise CheckpointError(
                f'{name}: {key} is {float(value):g}, so the factor of cosines would be exp({float(value):g}). CLIP '
                'stores the logarithm of its factor of at most 100, so at most 4.6052. Store ln(factor).'
            )
    return weights


def _read_file(path: Path) -> CLIPWeights:
    content, metadata = read_tensor_file(path)
    # Models wrapped for several GPUs have prefixed names.
    state = {name.removeprefix('module.'): tensor for name, tensor in weights_in(content, str(path)).items()}
    if 'vision.class_embedding' in state:
        return from_vadlab(state, _saved_arch(content, metadata, str(path)), str(path))
    return _renamed(state, _settings_beside(path), str(path))


def _renamed(state: dict[str, Any], settings: dict | None, source: str) -> CLIPWeights:
    if any(name.startswith('visual.') for name in state):
        return from_openai(state, source, settings)
    if any(name.startswith('vision_model.') for name in state):
        return from_hugging_face(state, settings, source)
    names = ', '.join(list(state)[:4])
    raise CheckpointError(f'{source} is not a CLIP model: its first tensors are {names or "none"}.')


def _settings_beside(path: Path) -> dict | None:
    """Settings of the towers from a JSON file in the same folder, or None."""
    for name in CONFIG_FILES:
        file = path.parent / name
        if file.is_file() and (settings := tower_settings(read_json_object(file), str(file))) is not None:
            MMLogger.get_current_instance().info(f'{path}: heads and activation are those of {file}.')
            return settings
    return None


def _saved_arch(content: dict, metadata: dict[str, str], name: str) -> dict | None:
    """Settings of the towers in VADLab's files: safetensors metadata, or the config in a training checkpoint."""
    try:
        if 'arch' in metadata:
            return parse_json(metadata['arch'], name)
        meta = content.get('meta')
        config = read_saved_config(meta['cfg'], name) if isinstance(meta, dict) and 'cfg' in meta else {}
        return _with_defaults(config.get('model'))
    except (ValueError, RecursionError):  # not JSON, or a config that is not plain values: no settings
        return None


def _with_defaults(model: Any) -> dict | None:
    """Settings of the towers in a detector's config, including defaults."""
    if not isinstance(model, dict):
        return None
    for tower, kind in (('vision', CLIPVisionTransformer), ('text', CLIPTextTransformer)):
        settings = model.get(tower)
        if isinstance(settings, dict) and str(settings.get('type')).split('.')[-1] == kind.__name__:
            parameters = inspect.signature(kind).parameters.values()
            model[tower] = {p.name: p.default for p in parameters} | settings
    return model


def _read_folder(folder: Path, source: str) -> CLIPWeights:
    configs = {name: read_json_object(folder / name) for name in CONFIG_FILES if (folder / name).is_file()}
    if not configs:
        raise CheckpointError(
            f'{folder} has no config.json with the number of attention heads. Copy it from the source of the weights.'
        )
    tensors, name = read_folder_weights(folder, (*WEIGHT_FILES, *_OPEN_CLIP_FILES))
    # Hub folders of OpenCLIP models have both kinds of weights, each with its own config.
    own = CONFIG_FILES[0] if name in _OPEN_CLIP_FILES else CONFIG_FILES[1]
    config = own if own in configs else next(iter(configs))
    return _renamed(tensors, tower_settings(configs[config], str(folder / config)), source)


def init_from_clip(model: nn.Module, path_or_id: str | Path, logit_scales: bool = True) -> CLIPWeights:
    """Load a CLIP into a detector with ``vision``, ``text`` and projections; missing tensors are initialised.

    Missing projections start from their counterparts (``roi_projection`` from ``visual_projection``,
    ``text_filip_projection`` from ``text_projection``). Missing temperatures start from the file's ``logit_scale``, or
    ln 100 without one. A missing long position table is stretched from the short one. A vision position table of
    another grid is interpolated. All of this is logged.

    Args:
        model (nn.Module): A CLIP or FGCLIP detector.
        path_or_id (str | Path): See :func:`load_clip_checkpoint`.
        logit_scales (bool): Also load the temperatures; False for models with their own initialisation.

    Returns:
        CLIPWeights: The weights that were read.

    Raises:
        CheckpointError: The checkpoint has another architecture; the message lists the differences.
    """
    weights = load_clip_checkpoint(path_or_id)
    logger = MMLogger.get_current_instance()
    _check_arch(model, weights)

    text = dict(weights.text)
    stretch = False
    if model.text.positional_embedding_long is None:
        if text.pop('positional_embedding_long', None) is not None:
            logger.info(f'{weights.source}: its long position table is skipped: the model has none.')
    elif 'positional_embedding_long' not in text:
        stretch = True
        text['positional_embedding_long'] = model.text.positional_embedding_long.detach()
    _load_vision(model, weights)
    _load(model.text, text, 'text', weights.source)
    if stretch:
        model.text.stretch_positions()
        logger.info(
            f'{weights.source}: long position table of {model.text.long_context_length} rows stretched from the '
            f'{model.text.context_length} of the short one.'
        )
    _load_projections(model, weights)
    if logit_scales:
        _load_logit_scales(model, weights)
    return weights


def init_text_from_clip(model: nn.Module, path_or_id: str | Path) -> CLIPWeights:
    """Load the text tower of a CLIP into a detector over features, which has ``text`` and optionally its projection.

    A long position table in the file is skipped; the model must have none. Temperatures are loaded if the model has
    them.

    Args:
        model (nn.Module): The detector.
        path_or_id (str | Path): See :func:`load_clip_checkpoint`.

    Returns:
        CLIPWeights: The weights that were read.

    Raises:
        CheckpointError: The text tower has another architecture; the message lists the differences.
    """
    weights = load_clip_checkpoint(path_or_id)
    _check_arch(model, weights)
    text = {name: tensor for name, tensor in weights.text.items() if name != 'positional_embedding_long'}
    _load(model.text, text, 'text', weights.source)
    _load_projections(model, weights)
    _load_logit_scales(model, weights)
    return weights


def init_vision_from_clip(model: nn.Module, path_or_id: str | Path) -> CLIPWeights:
    """Load the vision tower of a CLIP into a model, which has ``vision`` and optionally its projection.

    Temperatures are loaded if the model has them.

    Args:
        model (nn.Module): The model.
        path_or_id (str | Path): See :func:`load_clip_checkpoint`.

    Returns:
        CLIPWeights: The weights that were read.

    Raises:
        CheckpointError: The vision tower has another architecture; the message lists the differences.
    """
    weights = load_clip_checkpoint(path_or_id)
    _check_arch(model, weights)
    _load_vision(model, weights)
    _load_projections(model, weights)
    _load_logit_scales(model, weights)
    return weights


def resize_positions(table: Tensor, grid_size: int) -> Tensor:
    """Interpolate vision position embeddings to another grid, bicubic; the CLS row is kept.

    Args:
        table (Tensor): Shape (1 + old_grid ** 2, D).
        grid_size (int): Number of patches along a side.

    Returns:
        Tensor: Shape (1 + grid_size ** 2, D).
    """
    old = round((len(table) - 1) ** 0.5)
    grid = table[1:].T.unflatten(1, (old, old))[None]
    grid = F.interpolate(grid, size=(grid_size, grid_size), mode='bicubic', align_corners=False, antialias=True)
    return torch.cat([table[:1], grid[0].flatten(1).T])


def _check_arch(model: nn.Module, weights: CLIPWeights) -> None:
    def settings_of(tower: nn.Module) -> dict:
        block = tower.blocks[0]
        return dict(
            width=tower.width,
            layers=len(tower.blocks),
            heads=tower.heads,
            mlp_ratio=block.fc1.out_features / tower.width,
            hidden_act=tower.hidden_act,
        )

    mine = {}
    if hasattr(model, 'vision'):
        mine['vision'] = settings_of(model.vision) | dict(patch_size=model.vision.patch_size)
    if hasattr(model, 'text'):
        sizes = dict(vocab_size=model.text.vocab_size, context_length=model.text.context_length)
        mine['text'] = settings_of(model.text) | sizes
        if weights.arch['text']['long_context_length'] and model.text.long_context_length:
            mine['text']['long_context_length'] = model.text.long_context_length
    differences = [
        f'{tower}.{name} is {weights.arch[tower][name]} in the file, {value} in the config'
        for tower, settings in mine.items()
        for name, value in settings.items()
        if weights.arch[tower][name] is not None and weights.arch[tower][name] != value
    ]
    warn_of_missing_settings(weights, mine)
    projection = getattr(model, 'text_projection', getattr(model, 'visual_projection', None))
    if projection is not None and weights.arch['embed_dim'] != (embed_dim := projection.out_features):
        differences.append(f'embed_dim is {weights.arch["embed_dim"]} in the file, {embed_dim} in the config')
    if differences:
        raise CheckpointError(f'{weights.source} is another model: {"; ".join(differences)}.')


def warn_of_missing_settings(weights: CLIPWeights, mine: Mapping[str, Mapping[str, Any]]) -> None:
    """Warn about settings that are in no file, so that those of the config are used.

    Args:
        weights (CLIPWeights): The weights that were read.
        mine (Mapping): The model's own settings by tower.
    """
    missing = [
        f'{tower}.{name}={settings[name]}'
        for tower, settings in mine.items()
        for name in ('heads', 'hidden_act')
        if weights.arch[tower][name] is None
    ]
    if missing:
        MMLogger.get_current_instance().warning(
            f"{weights.source} does not specify {', '.join(missing)}: these are the config's. Make sure that they "
            "match the weights: OpenAI's models have quick_gelu, most of OpenCLIP's have gelu, and no shape shows it."
        )


def _load_vision(model: nn.Module, weights: CLIPWeights) -> None:
    vision = dict(weights.vision)
    table = vision['positional_embedding']
    if len(table) != len(model.vision.positional_embedding):
        vision['positional_embedding'] = resize_positions(table, model.vision.grid_size)
        MMLogger.get_current_instance().info(
            f'{weights.source}: vision positions interpolated from image_size={weights.arch["vision"]["image_size"]} '
            f'to {model.vision.image_size}.'
        )
    # Parameters beyond CLIP keep their initial values.
    own = {name: value for name, value in model.vision.state_dict().items() if name.startswith(_BEYOND_CLIP)}
    _load(model.vision, vision | own, 'vision', weights.source)


def _load(module: nn.Module, state: dict[str, Tensor], name: str, source: str) -> None:
    check_weights(state, module.state_dict(), source)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        details = ' '.join(line.strip() for line in str(error).splitlines()[1:])
        raise CheckpointError(f'{source} does not fit the {name} tower: {details}') from error


def _load_projections(model: nn.Module, weights: CLIPWeights) -> None:
    extras = weights.extras
    for name, stand_in in (
        ('visual_projection', 'visual_projection'),
        ('text_projection', 'text_projection'),
        ('roi_projection', 'visual_projection'),
        ('text_filip_projection', 'text_projection'),
    ):
        layer = getattr(model, name, None)
        if layer is None:
            continue
        present = f'{name}.weight' in extras
        tensor = extras[f'{name}.weight' if present else f'{stand_in}.weight']
        if layer.weight.shape != tensor.shape:
            raise CheckpointError(
                f'{weights.source}: {name} is {tuple(tensor.shape)} in the file, {tuple(layer.weight.shape)} here.'
            )
        with torch.no_grad():
            layer.weight.copy_(tensor)
        if not present:
            message = f'{weights.source}: {name} is not in the file and starts from {stand_in}.'
            MMLogger.get_current_instance().info(message)


def _load_logit_scales(model: nn.Module, weights: CLIPWeights) -> None:
    extras = weights.extras
    default = extras.get('logit_scale', torch.tensor(MAX_LOGIT_SCALE))
    names = [name for name, _ in model.named_parameters(recurse=False) if name.startswith('logit_scale')]
    if not names:
        return
    for name in names:
        with torch.no_grad():
            model.get_parameter(name).copy_(extras.get(name, default)).clamp_(max=MAX_LOGIT_SCALE)
    source = f'from {weights.source}' if 'logit_scale' in extras else f'{weights.source} has none, so ln 100'
    log_logit_scales(model, f'{source}; missing ones start from its logit_scale; never above ln 100')
