import cv2
import numpy as np
import torch
import torch.nn.functional as F

from vadlab.registry import MODELS

from ..objects.objects import Objects
from .attribute import Attribute, crop_of


@MODELS.register_module()
class Look(Attribute):
    """Appearance of an object: the embedding of its crop by an image tower.

    Args:
        extractor (dict): Config of :class:`~vadlab.models.extractors.SnippetFeatureExtractor` with any registered image
            tower: ``CLIPVisionTransformer``, or ``TransformersVision`` with the Hugging Face id or folder of a vision
            model.
        image_size (int | None): Height and width of the crops, in pixels; the tower's by default, or 224. The aspect
            ratio is not kept.
        context (float): Enlarge boxes by this share of their width and height on each side.
        normalize (bool): Scale embeddings to length 1.
        batch_size (int): Crops per forward pass.
    """

    def __init__(
        self,
        extractor: dict,
        image_size: int | None = None,
        context: float = 0.0,
        normalize: bool = True,
        batch_size: int = 64,
    ) -> None:
        super().__init__()
        self.extractor = MODELS.build(dict(type='SnippetFeatureExtractor', **extractor))
        self.extractor.requires_grad_(False)
        self.image_size: int = image_size or getattr(self.extractor.vision, 'image_size', None) or 224
        self.context, self.normalize, self.batch_size = context, normalize, batch_size

    def init_weights(self) -> None:
        """Load the tower's weights."""
        self.extractor.init_weights()

    @torch.inference_mode()
    def measure(self, frame: np.ndarray, flow: np.ndarray | None, objects: Objects) -> np.ndarray:
        """Embeddings, shape (M, D)."""
        self.extractor.eval()
        device = self.extractor.mean.device
        crops = np.empty((len(objects), self.image_size, self.image_size, 3), np.uint8)
        for crop, box in zip(crops, objects.boxes_xyxy, strict=True):
            wider = self.context * np.array([box[0] - box[2], box[1] - box[3], box[2] - box[0], box[3] - box[1]])
            part = frame[crop_of(box + wider, frame.shape)]
            cv2.resize(part, (self.image_size, self.image_size), dst=crop, interpolation=cv2.INTER_AREA)
        if not len(crops):
            return np.zeros((0, self.extractor.feature_dim), np.float32)
        found = []
        for start in range(0, len(crops), self.batch_size):
            pixels = torch.from_numpy(crops[start : start + self.batch_size]).permute(0, 3, 1, 2).to(device)
            embeds = self.extractor(pixels[:, None])
            found.append((F.normalize(embeds, dim=-1) if self.normalize else embeds).float().cpu())
        return torch.cat(found).numpy()
