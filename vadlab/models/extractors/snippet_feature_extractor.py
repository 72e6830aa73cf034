# Shapes: s snippets, f frames of a snippet, n = s * f frames, d channels.
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from torch import Tensor, nn

from vadlab.checkpoints.tensor_files import read_tensor_file
from vadlab.checkpoints.weights import check_weights, weights_in
from vadlab.checkpoints.weights_hash import weights_sha256
from vadlab.registry import MODELS
from vadlab.utils.errors import CheckpointError, ConfigError

from ..backbones.clip_vision_transformer import CLIPVisionTransformer
from ..checkpoints.clip_loading import load_clip_checkpoint, resize_positions, warn_of_missing_settings
from ..data_preprocessors.pixel_data_preprocessor import CLIP_MEAN, CLIP_STD


@MODELS.register_module()
class SnippetFeatureExtractor(nn.Module):
    """Extracts one feature vector per snippet with any vision backbone, to train weakly supervised methods on.

    ::

        uint8 frames -> normalise -+-> image backbone, frame by frame -> projection -> mean over the frames -+-> feature
                                   +-> clip backbone (``takes_clips``), the snippet as a whole --------------+

    A backbone is a registered module. An image backbone maps (n, 3, h, w) to (n, d), or to a tuple that starts with it,
    and has d as its attribute ``width``. A clip backbone has ``takes_clips = True`` and maps (s, f, 3, h, w) to (s, d).

    Args:
        vision (dict): Config of the backbone, such as :class:`~vadlab.models.backbones.CLIPVisionTransformer`.
        embed_dim (int | None): Project to CLIP's joint space of this many channels with ``visual_projection``: 512 for
            ViT-B, as in VadCLIP's public features. None keeps the backbone's own channels.
        pretrained (str | None): Weights: for CLIP's tower, anything that
            :func:`~vadlab.models.checkpoints.load_clip_checkpoint` reads; for others, a file of tensors with the
            backbone's names. None for random weights, with a warning, unless the backbone loads its own.
        normalize (bool): Scale each frame's feature (each snippet's, from a clip backbone) to length 1. Public CLIP
            features are not normalised.
        mean (tuple | None): Mean of red, green and blue, on the scale 0..255; the backbone's by default, or CLIP's.
        std (tuple | None): Standard deviation of red, green and blue, > 0.

    Raises:
        ConfigError: ``embed_dim`` is set, but the backbone has no ``width`` or is a clip backbone.
    """

    def __init__(
        self,
        vision: dict,
        embed_dim: int | None = None,
        pretrained: str | None = None,
        normalize: bool = False,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__()
        self.vision = MODELS.build(vision)
        self.takes_clips = bool(getattr(self.vision, 'takes_clips', False))
        self.visual_projection: nn.Linear | None = None
        if embed_dim is not None:
            if self.takes_clips:
                raise ConfigError(f'SnippetFeatureExtractor: {vision["type"]} has no projection; leave embed_dim out.')
            self.visual_projection = nn.Linear(self._width(), embed_dim, bias=False)
            nn.init.normal_(self.visual_projection.weight, std=self._width() ** -0.5)
        self.feature_dim: int = embed_dim or self._width()
        self.pretrained = pretrained
        self.normalize = normalize
        mean = mean or getattr(self.vision, 'mean', CLIP_MEAN)
        std = std or getattr(self.vision, 'std', CLIP_STD)
        self.register_buffer('mean', torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(3, 1, 1), persistent=False)

    def _width(self) -> int:
        width = getattr(self.vision, 'width', None)
        if not isinstance(width, int):
            raise ConfigError(
                f'SnippetFeatureExtractor: {type(self.vision).__name__} does not specify its channels; give it an '
                'attribute `width`.'
            )
        return width

    def init_weights(self) -> None:
        """Load the pretrained weights, or warn that they are random.

        Raises:
            CheckpointError: The file does not fit the backbone.
        """
        logger = MMLogger.get_current_instance()
        if self.pretrained is not None and isinstance(self.vision, CLIPVisionTransformer):
            self._load_clip(self.pretrained)
        elif self.pretrained is not None:
            content, _ = read_tensor_file(Path(self.pretrained))
            _load(self.vision, weights_in(content, self.pretrained), self.pretrained)
        elif getattr(self.vision, 'pretrained', None) is None:
            logger.warning(
                'pretrained=None: features come from RANDOM weights. Use them to try the command or as a control, '
                'never to train a method.'
            )

    def _load_clip(self, source: str) -> None:
        weights = load_clip_checkpoint(source)
        tower = self.vision
        for name, mine in (('heads', tower.heads), ('hidden_act', tower.hidden_act), ('patch_size', tower.patch_size)):
            theirs = weights.arch['vision'].get(name)
            if theirs is not None and theirs != mine:
                raise CheckpointError(
                    f'{source} is another model: its vision {name} is {theirs}, {mine} in the config.'
                )
        warn_of_missing_settings(weights, {'vision': dict(heads=tower.heads, hidden_act=tower.hidden_act)})
        state = dict(weights.vision)
        if len(state['positional_embedding']) != len(tower.positional_embedding):
            state['positional_embedding'] = resize_positions(state['positional_embedding'], tower.grid_size)
            MMLogger.get_current_instance().info(f'{source}: positions interpolated to {tower.image_size} pixels.')
        _load(tower, state, source)
        if self.visual_projection is not None:
            _load(self.visual_projection, {'weight': weights.extras['visual_projection.weight']}, source)

    def weights_sha256(self) -> str:
        """Hash of all weights by name, shape and value; independent of the file that they came from."""
        return weights_sha256(self.state_dict())

    def forward(self, frames: Tensor, max_images: int | None = None) -> Tensor:
        """Features of snippets.

        Args:
            frames (Tensor): RGB, uint8, shape (s, f, 3, h, w), on the model's device.
            max_images (int | None): Maximum number of frames encoded at once; all by default.

        Returns:
            Tensor: float32, shape (s, d).
        """
        count, per_snippet = frames.shape[:2]
        if self.takes_clips:
            step = max((max_images or count * per_snippet) // per_snippet, 1)
            feats = torch.cat([_first(self.vision(self._pixels(part))) for part in frames.split(step)]).float()
            return F.normalize(feats, dim=-1) if self.normalize else feats
        images = frames.flatten(0, 1)
        parts = [self.encode_images(self._pixels(part)) for part in images.split(max_images or len(images))]
        return torch.cat(parts).unflatten(0, (count, per_snippet)).mean(1)

    def _pixels(self, frames: Tensor) -> Tensor:
        return frames.float().sub_(self.mean).div_(self.std)

    def encode_images(self, images: Tensor) -> Tensor:
        """Features of normalised images by an image backbone, shape (n, 3, h, w) to float32 (n, d)."""
        feats = _first(self.vision(images))
        if self.visual_projection is not None:
            feats = self.visual_projection(feats)
        feats = feats.float()
        return F.normalize(feats, dim=-1) if self.normalize else feats


def _first(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple | list) else output


def _load(module: nn.Module, state: dict[str, Tensor], source: str) -> None:
    check_weights(state, module.state_dict(), source)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        details = ' '.join(line.strip() for line in str(error).splitlines()[1:])
        raise CheckpointError(f'{source} does not fit {type(module).__name__}: {details[:600]}') from error
