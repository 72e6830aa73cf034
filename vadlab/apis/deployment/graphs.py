"""Parts of models as modules whose inputs and outputs are tensors, for export.

Shape suffixes: n frames, k texts or phrases, l tokens, e joint space, t sampled frames or snippets, q numbers of a
frame, b videos or images, c crops, d channels of a feature.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.models.captioners.caption_decoder import DecoderCache
from vadlab.models.layers.logit_scale import scale_of


@dataclass
class Graph:
    """A part of a model that becomes one ``.onnx`` file.

    Attributes:
        name (str): Name of the file.
        module (nn.Module): The part.
        inputs (dict[str, Tensor]): Real inputs by name, in the order of the module's arguments. Each open dimension has
            at least two entries.
        outputs (tuple[str, ...]): Names of the outputs.
        open_dims (Mapping[str, Mapping[int, str]]): Open dimensions of the inputs, by input and axis.
        smaller (dict[str, Tensor]): Inputs with other sizes of the open dimensions: the check runs these, too.
        is_quantized (bool): Whether the int8 variant has 8-bit weights in this part.
    """

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    open_dims: Mapping[str, Mapping[int, str]]
    smaller: dict[str, Tensor]
    is_quantized: bool = True


class VisionGraph(nn.Module):
    """FG-CLIP's vision tower: frames in the joint space, and their patch grid in the space of regions."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.vision = model.vision
        self.visual_projection = model.visual_projection
        self.roi_projection = model.roi_projection

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised frames, shape (n, 3, H, W), to (n, e) and (n, e, h, w), not normalised."""
        cls_nd, dense_ndhw = self.vision.forward_all(frames)
        grid_nehw = self.roi_projection(dense_ndhw.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.visual_projection(cls_nd), grid_nehw


class TextGraph(nn.Module):
    """The text tower, with its projections into the joint space."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.text = model.text
        self.short = model.text_projection
        self.long = getattr(model, 'text_filip_projection', None)

    def forward(self, tokens: Tensor, ends: Tensor, is_long: Tensor | None = None) -> Tensor:
        """Padded token ids, shape (k, l), and end positions, shape (k,), to (k, e), not normalised."""
        states_kd = self.text.forward_padded(tokens, ends, is_long)
        if self.long is None or is_long is None:
            return self.short(states_kd)
        return torch.where(is_long, self.long(states_kd), self.short(states_kd))


class FrameGraph(nn.Module):
    """From the vision tower's output to the numbers of a frame that are kept: an embedding, or cosines with phrases."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.head = model.score_head

    def forward(self, embeds: Tensor, grid: Tensor, prompts: Tensor) -> Tensor:
        """Shapes (n, e), (n, e, h, w) and (k, e) to (n, q)."""
        if not self.head.cells:
            return F.normalize(embeds, dim=-1)
        # The mean of cells and the projection are linear, so projected patches can be averaged.
        return self.head.of_cells(grid, nn.Identity(), prompts)


class VideoGraph(nn.Module):
    """From the kept numbers of a video's frames to logits and class probabilities, for any phrases."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        scale = scale_of(model.logit_scale_finegrained) if model.score_head.cells else model._frame_scale()
        self.scores = _HeadScores(model.score_head, scale.detach())

    def forward(
        self, summary: Tensor, prompts: Tensor, is_normal: Tensor, is_of_class: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Shapes (t, q), (k, e), (k,) and (classes, k) to (t,) and (t, classes)."""
        phrases = {'head.is_normal': is_normal, 'head.is_of_class': is_of_class}
        return torch.func.functional_call(self.scores, phrases, (summary, prompts))


class _HeadScores(nn.Module):
    def __init__(self, head: nn.Module, scale: Tensor) -> None:
        super().__init__()
        self.head = head
        self.register_buffer('scale', scale)

    def forward(self, summary: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
        if self.head.cells:
            return self.head.score_cells(summary, self.scale)
        logits_1t, classes_1tc = self.head(summary[None], prompts, self.scale)
        return logits_1t[0], classes_1tc[0]


class SnippetGraph(nn.Module):
    """A method on snippet features: predictions of snippets, averaged over crops."""

    def __init__(self, model: Any, outputs: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.outputs = tuple(outputs)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        """Features, shape (b, c, t, d), and numbers of real snippets, shape (b,), to (b, t) or (b, t, classes) each."""
        mask_bt = torch.arange(features.shape[2], device=features.device) < lengths[:, None]
        found = self.model.predict_snippets(features, mask_bt)
        return tuple(found[name] for name in self.outputs)


class ExtractorGraph(nn.Module):
    """The extractor of snippet features, frame by frame."""

    def __init__(self, extractor: Any) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, frames: Tensor) -> Tensor:
        """Normalised frames, shape (n, 3, h, w), to features, shape (n, d)."""
        return self.extractor.encode_images(frames)


class CaptionEncoderGraph(nn.Module):
    """FSGR's encoder, with the keys and values that its decoder reads from the images."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Normalised images, shape (b, 3, H, W), to the grid, concepts, visual grid, keys and values of each layer.

        Keys and values have the shape (layers, b, heads, patches, channels).
        """
        encoded = self.model.encode(images)
        cross = [layer.image_keys_values(encoded) for layer in self.model.decoder.layers]
        keys, values = (torch.stack([pair[i] for pair in cross]) for i in (0, 1))
        return encoded.grid, encoded.concepts, encoded.visual, keys, values


class CaptionStepGraph(nn.Module):
    """One step of FSGR's decoder: the next word of every caption."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.decoder = model.decoder

    def forward(self, words: Tensor, past: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Words (n,), keys and values of earlier words (l, n, layers, 2, heads, channels) and of the images.

        Returns the log-probabilities of the next word, shape (n, v), and keys and values with this word, shape (l + 1,
        n, layers, 2, heads, channels).
        """
        cache = _GrowingCache(past, [(keys[i], values[i]) for i in range(len(self.decoder.layers))])
        log_probs_nv = self.decoder.step(words, cache)
        return log_probs_nv, cache.words


class _GrowingCache(DecoderCache):
    """A cache that grows by concatenation, since a graph cannot write into its input."""

    def __init__(self, past: Tensor, cross: list[tuple[Tensor, Tensor]]) -> None:
        self.cross = cross
        self.past = past
        self.new: list[Tensor] = []
        self.length = past.shape[0]

    @property
    def words(self) -> Tensor:  # type: ignore[override]
        """Keys and values of all words."""
        return torch.cat([self.past, torch.stack(self.new, dim=1)[None]])

    def append(self, layer: int, key_nhc: Tensor, value_nhc: Tensor) -> tuple[Tensor, Tensor]:
        """As of :class:`DecoderCache`."""
        new_n2hc = torch.stack([key_nhc, value_nhc], dim=1)
        self.new.append(new_n2hc)
        keys, values = torch.cat([self.past[:, :, layer], new_n2hc[None]]).permute(2, 1, 3, 0, 4)
        return keys, values
