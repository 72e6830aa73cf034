from dataclasses import dataclass

from torch import Tensor


@dataclass
class CLIPWeights:
    """Tensors of a CLIP model under VADLab's names, float32.

    Attributes:
        vision (dict): State dict of a :class:`~vadlab.models.backbones.CLIPVisionTransformer`.
        text (dict): State dict of a :class:`~vadlab.models.backbones.CLIPTextTransformer`; it has
            ``positional_embedding_long`` only if the file has a long table.
        extras (dict): visual_projection.weight, text_projection.weight, and, if the file has them,
            roi_projection.weight, text_filip_projection.weight, logit_scale, logit_scale_finegrained,
            logit_scale_hardneg (logarithms).
        arch (dict): ``vision`` and ``text``, the constructor arguments of the towers, and ``embed_dim``. Values that a
            bare state dict does not contain (heads, hidden_act) are None.
        source (str): Path or id of the weights, for messages.
    """

    vision: dict[str, Tensor]
    text: dict[str, Tensor]
    extras: dict[str, Tensor]
    arch: dict
    source: str

    def state_dict(self) -> dict[str, Tensor]:
        """All tensors under the names of a CLIP or FGCLIP detector."""
        return {
            **{f'vision.{name}': tensor for name, tensor in self.vision.items()},
            **{f'text.{name}': tensor for name, tensor in self.text.items()},
            **self.extras,
        }
