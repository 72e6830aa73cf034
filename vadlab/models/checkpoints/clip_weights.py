from dataclasses import dataclass

from torch import Tensor


@dataclass
class CLIPWeights:
    """A CLIP model's tensors under VADLab's names, float32, wherever they came from.

    Attributes:
        vision (dict): State of a :class:`~vadlab.models.backbones.CLIPVisionTransformer`.
        text (dict): State of a :class:`~vadlab.models.backbones.CLIPTextTransformer`; ``positional_embedding_long``
            only where the file has a long table.
        extras (dict): visual_projection.weight, text_projection.weight, and where the file has them
            roi_projection.weight, text_filip_projection.weight, logit_scale, logit_scale_finegrained,
            logit_scale_hardneg (logarithms).
        arch (dict): ``vision`` and ``text``, the constructor arguments of the towers, and ``embed_dim``. What a bare
            state dict does not tell (heads, hidden_act) is None.
        source (str): What was read, for messages.
    """

    vision: dict[str, Tensor]
    text: dict[str, Tensor]
    extras: dict[str, Tensor]
    arch: dict
    source: str

    def state_dict(self) -> dict[str, Tensor]:
        """All tensors under the names they have in a CLIP or FGCLIP detector."""
        return {
            **{f'vision.{name}': tensor for name, tensor in self.vision.items()},
            **{f'text.{name}': tensor for name, tensor in self.text.items()},
            **self.extras,
        }
