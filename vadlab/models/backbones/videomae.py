# Shapes: s snippets, f frames, l tokens (f / tubelet_size * (image_size / patch_size) ** 2), d width.
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from vadlab.checkpoints.hub import hub_folder
from vadlab.checkpoints.tensor_files import read_tensor_file
from vadlab.checkpoints.weights import check_float_weights
from vadlab.registry import MODELS
from vadlab.utils.errors import CheckpointError, ConfigError, DataError

from .encoder import Encoder


@MODELS.register_module()
class VideoMAE(Encoder):
    """VideoMAE encoder from transformers; returns one vector or all tokens per clip.

    Tong et al., "VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video Pre-Training",
    NeurIPS 2022, arXiv:2203.12602 (github.com/MCG-NJU/VideoMAE).

    The pooled feature is the mean over tokens. Fine-tuned weights (such as
    ``MCG-NJU/videomae-base-finetuned-kinetics``) have a norm before the classifier, which is applied to the mean;
    pre-trained weights have a final norm of every token instead.

    Args:
        pretrained (str | None): Hugging Face id, or a folder with ``config.json`` and ``model.safetensors``; its config
            replaces the architecture arguments below. None for random weights.
        image_size (int): Height and width of a frame, in pixels.
        patch_size (int): Height and width of a patch, in pixels.
        num_frames (int): Frames f of a clip.
        tubelet_size (int): Frames per token.
        width (int): Channels d.
        layers (int): Number of blocks.
        heads (int): Attention heads.
        mlp_ratio (float): Hidden width of the MLPs divided by d.
        use_mean_pooling (bool): True for a norm of the mean, as in fine-tuned weights; False for a norm of every token,
            as in pre-trained weights.
        pooled (bool): Return one vector per clip, (s, d), instead of its tokens, (s, l, d).
        frozen (bool): Freeze all weights; stay in evaluation mode, without a graph.
        with_cp (bool): Activation checkpointing: less memory, about a third more compute.

    Raises:
        ConfigError: Sizes do not divide each other.
        CheckpointError: The weights are not VideoMAE's, are incomplete, or cannot be found.
    """

    takes_clips = True

    def __init__(
        self,
        pretrained: str | None = None,
        image_size: int = 224,
        patch_size: int = 16,
        num_frames: int = 16,
        tubelet_size: int = 2,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        mlp_ratio: float = 4.0,
        use_mean_pooling: bool = True,
        pooled: bool = True,
        frozen: bool = False,
        with_cp: bool = False,
    ) -> None:
        super().__init__(pooled)
        if image_size % patch_size or num_frames % tubelet_size or width % heads:
            raise ConfigError(
                f'VideoMAE: {image_size=} must be a multiple of {patch_size=}, {num_frames=} of {tubelet_size=}, '
                f'{width=} of {heads=}.'
            )
        from transformers import VideoMAEConfig, VideoMAEForVideoClassification  # slow to import, and rarely needed

        self.pretrained = pretrained
        if pretrained is None:
            model = VideoMAEForVideoClassification(
                VideoMAEConfig(
                    image_size=image_size,
                    patch_size=patch_size,
                    num_frames=num_frames,
                    tubelet_size=tubelet_size,
                    hidden_size=width,
                    num_hidden_layers=layers,
                    num_attention_heads=heads,
                    intermediate_size=int(width * mlp_ratio),
                    use_mean_pooling=use_mean_pooling,
                )
            )
        else:
            model = _from_pretrained(VideoMAEForVideoClassification, pretrained)
        self.encoder = model.videomae
        self.fc_norm: nn.Module = nn.Identity()
        if pooled and model.fc_norm is not None:
            self.fc_norm = model.fc_norm
        config = model.config
        self.width: int = config.hidden_size
        size = config.image_size
        self.image_size: int = size if isinstance(size, int) else size[0]
        self.num_frames: int = config.num_frames
        patch = config.patch_size
        self._token_size: tuple[int, int] = (config.tubelet_size, patch if isinstance(patch, int) else patch[0])
        if with_cp:
            self.encoder.gradient_checkpointing_enable({'use_reentrant': False})
        if frozen:
            self.freeze()

    def token_grid(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Number of times, rows and columns of the tokens of clips (f, 3, h, w)."""
        tubelet, patch = self._token_size
        return shape[0] // tubelet, shape[-2] // patch, shape[-1] // patch

    def encode(self, clips: Tensor) -> Tensor:
        """Encode clips.

        Args:
            clips (Tensor): Frames normalised with ImageNet's mean and standard deviation, shape (s, f, 3, h, w).

        Returns:
            Tensor: Shape (s, d), or (s, l, d) with ``pooled=False``.

        Raises:
            DataError: The length or size of the clips differs from the model's.
        """
        wanted = (self.num_frames, 3, self.image_size, self.image_size)
        if tuple(clips.shape[1:]) != wanted:
            raise DataError(
                f'VideoMAE: clips of shape {tuple(clips.shape[1:])}, but it takes {wanted} (frames, 3, height, width). '
                f'Give it {self.num_frames} frames per snippet (features.frames) and crops of {self.image_size} pixels.'
            )
        tokens_sld = self.encoder(pixel_values=clips).last_hidden_state
        return self.fc_norm(tokens_sld.mean(1)) if self.pooled else tokens_sld


_FILE_SETS = [('config.json', 'model.safetensors'), ('config.json', 'pytorch_model.bin')]


def _from_pretrained(kind: Any, source: str) -> Any:
    folder = Path(source).expanduser()
    if not folder.is_dir():
        folder = hub_folder(source, _FILE_SETS)
    for path in sorted(folder.glob('pytorch_model*.bin')):
        read_tensor_file(path)  # transformers does not verify checksums
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # it warns about the unused classifier
    try:
        model, info = kind.from_pretrained(folder, output_loading_info=True, local_files_only=True)
    except Exception as error:  # errors of files, of the network and of configs have many types
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise CheckpointError(
            f'VideoMAE weights {source!r} cannot be loaded: {reason[:300]} Give a Hugging Face id such as '
            'MCG-NJU/videomae-base-finetuned-kinetics, or a folder with config.json and model.safetensors.'
        ) from error
    finally:
        logging.set_verbosity(verbosity)
    check_float_weights(dict(model.named_parameters()), source)
    # fc_norm may be missing: then the mean of the tokens is not normalised.
    missing = {key for key in info['missing_keys'] if not key.startswith(('classifier.', 'fc_norm.'))}
    if missing or model.config.model_type != 'videomae':
        raise CheckpointError(
            f'{source} is not a complete VideoMAE ({model.config.model_type}); it lacks {sorted(missing)[:3]}.'
        )
    if any(key.startswith('fc_norm.') for key in info['missing_keys']):
        model.fc_norm = None
    return model
