"""Models in torch whose large parts are run by onnxruntime, from an exported folder."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from vadlab.engine.build_errors import config_mistakes
from vadlab.models.backbones.text_transformer import TextTransformer
from vadlab.models.captioners.caption_decoder import CaptionDecoder
from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError, DataError

from .exported_folder import ExportedFolder
from .exported_scorers import SnippetScores
from .model_parts import REPLACED, kind_of, padded_texts

BACKENDS = ('torch', 'onnxruntime')


def build_exported(config: Config, exported: ExportedFolder) -> nn.Module:
    """The model of a config, with the weights and parts of an exported folder.

    Args:
        config (Config): The experiment that the folder was exported from.
        exported (ExportedFolder): The folder.

    Raises:
        ConfigError: The folder is of another model.
    """
    settings = copy.deepcopy(config.model)
    if config.get('data_preprocessor') is not None:  # as the Runner does
        settings.setdefault('data_preprocessor', copy.deepcopy(config.data_preprocessor))
    with config_mistakes():
        model = MODELS.build(settings)
    use_exported(model, exported)
    return model


def use_exported(model: Any, exported: ExportedFolder) -> None:
    """Let onnxruntime run the large parts of a model, in place.

    Args:
        model (nn.Module): The model of the config that the folder was exported from.
        exported (ExportedFolder): The folder.

    Raises:
        ConfigError: The folder is of another model, or of other classes.
    """
    manifest = exported.manifest
    name = type(model).__name__
    if name != manifest.model or kind_of(model) != manifest.kind:
        raise ConfigError(
            f'{exported.path} is an exported {manifest.model}, and the config describes a {name}. Give the config that '
            f'it was exported from: {manifest.config}'
        )
    head = getattr(model, 'score_head', None) or model
    own = tuple(getattr(head, 'classes', ()))
    if manifest.prompts is not None:
        if manifest.kind == 'snippets':  # their texts are in the graph; frames are compared with any texts
            model.use_prompts(manifest.prompts, manifest.negatives)
    elif own and manifest.kind != 'captions' and manifest.classes and own != manifest.classes:
        raise ConfigError(
            f'{exported.path} was exported with the classes {", ".join(manifest.classes)}; the config has '
            f'{", ".join(own)}. Give the config that it was exported from: {manifest.config}'
        )
    {'frames': _use_towers, 'snippets': _use_scores, 'captions': _use_captioner}[manifest.kind](model, exported)
    if manifest.kind != 'snippets':
        _load_rest(model, exported)
    model._is_init = True  # nothing of it is loaded again
    model.requires_grad_(False)


def _load_rest(model: Any, exported: ExportedFolder) -> None:
    """Load the weights of the parts that torch runs."""
    state = {name: torch.from_numpy(np.array(value)) for name, value in exported.arrays('state').items()}
    if hasattr(model, 'check_checkpoint'):
        model.check_checkpoint(state, str(exported.path))
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ConfigError(f'{exported.path} does not fit the config: {" ".join(str(error).split())[:400]}') from error
    lost = [name for name in missing if not name.startswith(('queue_', *REPLACED[exported.manifest.kind]))]
    if lost or unexpected:
        raise ConfigError(
            f'{exported.path} does not fit the config (first: {(lost + list(unexpected))[0]}). Give the config that it '
            f'was exported from: {exported.manifest.config}'
        )


# ----------------------------------------------------------------------------------------------------------- frames


class OnnxVision(nn.Module):
    """FG-CLIP's vision tower with both projections.

    Args:
        exported (ExportedFolder): The folder.
        tower (nn.Module): The tower in torch, for its sizes.
    """

    def __init__(self, exported: ExportedFolder, tower: Any) -> None:
        super().__init__()
        self.graph = exported.graph('vision')
        self.image_size, self.chunk_size = tower.image_size, tower.chunk_size

    def forward(self, frames: Tensor, dense_mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """As of :class:`CLIPVisionTransformer`, projected: shapes (n, e), and (m, e, grid, grid) or None."""
        parts = [self.graph(frames=part.cpu().numpy()) for part in frames.split(self.chunk_size or max(len(frames), 1))]
        embeds = torch.from_numpy(np.concatenate([part['embeds'] for part in parts]))
        if dense_mask is None:
            return embeds, None
        grid = torch.from_numpy(np.concatenate([part['grid'] for part in parts]))
        return embeds, grid[dense_mask.cpu()]


class OnnxText(nn.Module):
    """A text tower with its projections.

    Args:
        exported (ExportedFolder): The folder.
        tower (TextTransformer): The tower in torch, for its sizes.
    """

    def __init__(self, exported: ExportedFolder, tower: TextTransformer) -> None:
        super().__init__()
        self.graph = exported.graph('text')
        self.context_length, self.vocab_size = tower.context_length, tower.vocab_size
        self.long_context_length = tower.long_context_length

    def forward(self, tokens: list[Tensor], long: bool = False) -> Tensor:
        """As of :class:`CLIPTextTransformer`, projected, shape (k, e).

        Raises:
            DataError: A text is empty or too long, or an id is not in the vocabulary.
        """
        limit = self.long_context_length if long else self.context_length
        if not tokens:
            (output,) = [node for node in self.graph.session.get_outputs() if node.name == 'embeds']
            return torch.zeros(0, output.shape[1])
        lengths = [len(text) for text in tokens]
        highest = max(int(text.max()) for text in tokens if len(text)) if max(lengths) else 0
        if limit is None or min(lengths) == 0 or max(lengths) > limit or highest >= self.vocab_size:
            raise DataError(
                f'Texts of {min(lengths)} to {max(lengths)} tokens with ids up to {highest}; the exported text tower '
                f'takes 1 to {limit} tokens with ids below {self.vocab_size}.'
            )
        has_long = self.long_context_length is not None
        given = padded_texts([text.cpu() for text in tokens], long if has_long else None)
        return torch.from_numpy(self.graph(**{name: value.numpy() for name, value in given.items()})['embeds'])


def _use_towers(model: Any, exported: ExportedFolder) -> None:
    model.vision, model.text = OnnxVision(exported, model.vision), OnnxText(exported, model.text)
    for name in ('visual_projection', 'roi_projection', 'text_projection', 'text_filip_projection'):
        if getattr(model, name) is not None:
            setattr(model, name, nn.Identity())


# --------------------------------------------------------------------------------------------------------- snippets


class OnnxSnippets:
    """``predict_snippets`` of a :class:`SnippetDetector`, video by video.

    Args:
        exported (ExportedFolder): The folder.
    """

    def __init__(self, exported: ExportedFolder) -> None:
        self.scores = SnippetScores(exported)

    def __call__(self, feats_bctd: Tensor, mask_bt: Tensor) -> dict[str, Tensor]:
        """See :meth:`SnippetDetector.predict_snippets`."""
        found: dict[str, Tensor] = {}
        for row, (feats_ctd, mask_t) in enumerate(zip(feats_bctd.cpu(), mask_bt.cpu(), strict=True)):
            length = int(mask_t.sum())
            for name, value in self.scores(feats_ctd[:, :length].numpy()).items():
                if name not in found:
                    found[name] = torch.zeros(*mask_bt.shape, *value.shape[1:])
                found[name][row, :length] = torch.from_numpy(value)
        return found


def _use_scores(model: Any, exported: ExportedFolder) -> None:
    name, written = type(model).__name__, exported.manifest.prompts

    def use_prompts(prompts: Sequence[str] | None, negatives: Sequence[str] | None = None) -> None:
        if prompts is not None and tuple(prompts) != written:
            raise ConfigError(
                f'{exported.path}: the texts of an exported {name} are fixed. Export it with these prompts: '
                'python tools/export.py ... --prompt TEXT'
            )

    model.predict_snippets = OnnxSnippets(exported)
    if hasattr(model, 'use_prompts'):
        model.use_prompts = use_prompts


# --------------------------------------------------------------------------------------------------------- captions


class ExportedImages(NamedTuple):
    """Images encoded by an exported encoder; the first four fields are those of :class:`EncodedImages`."""

    grid: Tensor
    positions: Tensor
    concepts: Tensor
    visual: Tensor
    keys: np.ndarray
    values: np.ndarray


class OnnxCaptionCache:
    """Keys and values of the images, and of the words so far.

    Args:
        images (ExportedImages): b images.
        captions (int): Captions per image.
    """

    def __init__(self, images: ExportedImages, captions: int) -> None:
        self.keys, self.values = images.keys, images.values
        layers, self.num_images, heads, _, channels = images.keys.shape
        self.num_rows = self.num_images * captions
        self.words = np.zeros((0, self.num_rows, layers, 2, heads, channels), np.float32)

    def reorder(self, rows_n: Tensor) -> None:
        """Replace row i by row ``rows_n[i]`` of the same image."""
        self.words = self.words[:, rows_n.cpu().numpy()]


class OnnxCaptionDecoder(nn.Module):
    """FSGR's decoder, step by step; see :mod:`vadlab.models.captioners.decoding`.

    Args:
        exported (ExportedFolder): The folder.
        decoder (CaptionDecoder): The decoder in torch, for its sizes.
    """

    def __init__(self, exported: ExportedFolder, decoder: CaptionDecoder) -> None:
        super().__init__()
        self.graph = exported.graph('step')
        self.max_len, self.vocab_size = decoder.max_len, decoder.vocab_size

    def init_cache(self, images: ExportedImages, captions: int = 1, max_len: int | None = None) -> OnnxCaptionCache:
        """New cache for :meth:`step`.

        Raises:
            ConfigError: There are more words than positions.
        """
        if (max_len or 0) > self.max_len:
            raise ConfigError(f'Captions of up to {max_len} words, but the exported decoder has {self.max_len}.')
        return OnnxCaptionCache(images, captions)

    def step(self, words_n: Tensor, cache: OnnxCaptionCache) -> Tensor:
        """Log-probabilities of the next word, float32, shape (n, v); the cache grows by a word."""
        found = self.graph(words=words_n.cpu().numpy(), past=cache.words, keys=cache.keys, values=cache.values)
        cache.words = found['words_so_far']
        return torch.from_numpy(found['log_probs'])


def _use_captioner(model: Any, exported: ExportedFolder) -> None:
    graph = exported.graph('encoder')
    positions = model.encoder.positions

    def encode(inputs: Tensor, data_samples: Any = None) -> ExportedImages:
        if inputs.ndim != 4:
            raise ConfigError(f'{exported.path} takes images, not stored patches (patch_dir).')
        found = graph(images=inputs.cpu().numpy())
        grid, concepts, visual = (torch.from_numpy(found[name]) for name in ('grid', 'concepts', 'visual'))
        return ExportedImages(grid, positions, concepts, visual, found['keys'], found['values'])

    model.encode = encode
    model.decoder = OnnxCaptionDecoder(exported, model.decoder)
    for name in ('vision', 'visual_projection', 'encoder'):
        setattr(model, name, nn.Identity())
