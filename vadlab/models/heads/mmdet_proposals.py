import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from vadlab.checkpoints.tensor_files import forbid_unsafe_loading
from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError, mmdet_missing


@MODELS.register_module()
class MMDetProposals(nn.Module):
    """Proposals from any MMDetection detector, regardless of their class.

    The detector is loaded at the first call. It is not part of this module's state: its weights are neither trained nor
    saved with the model.

    Args:
        config (str): Path of a detector's config, or the name of a config in MMDetection
            (``rtmdet/rtmdet_tiny_8xb32-300e_coco.py``).
        checkpoint (str | None): Path or URL of the weights; None for random weights, for tests only.
        score_thr (float): Boxes with lower scores are dropped, 0..1.
        max_boxes (int): Number of highest-scoring boxes kept per frame, > 0.
        batch_size (int): Frames per batch of the detector, > 0.
    """

    def __init__(
        self,
        config: str,
        checkpoint: str | None = None,
        score_thr: float = 0.05,
        max_boxes: int = 100,
        batch_size: int = 16,
    ) -> None:
        super().__init__()
        self.config = config
        self.checkpoint = checkpoint
        self.score_thr = score_thr
        self.max_boxes = max_boxes
        self.batch_size = batch_size
        self._detect: Callable[[list], list] | None = None

    def forward(self, pixels: Tensor) -> Tensor:
        """Boxes of each frame; frames with fewer boxes are padded with boxes of the whole frame.

        Args:
            pixels (Tensor): Frames, uint8 RGB, shape (T, 3, H, W).

        Returns:
            Tensor: xyxyn, float32, shape (T, P, 4), P at most ``max_boxes`` + 1; they always include the whole frame.
        """
        with _in_mmdet():
            if self._detect is None:
                self._detect = self._load(pixels.device)
            found = self._find(pixels, self._detect)
        out = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(len(found), max(map(len, found)) + 1, 1)
        for place, boxes in zip(out, found, strict=True):
            place[: len(boxes)] = boxes
        return out.to(pixels.device)

    def _find(self, pixels: Tensor, detect: Callable[[list], list]) -> list[Tensor]:
        height, width = pixels.shape[-2:]
        scale = torch.tensor([width, height, width, height], dtype=torch.float32)
        images = list(pixels.flip(1).permute(0, 2, 3, 1).cpu().numpy())  # detectors of OpenMMLab expect BGR
        found: list[Tensor] = []
        for start in range(0, len(images), self.batch_size):
            for result in detect(images[start : start + self.batch_size]):
                instances = result.pred_instances
                scores, order = instances.scores.cpu().sort(descending=True)
                boxes = instances.bboxes.float().cpu()[order[scores >= self.score_thr][: self.max_boxes]]
                found.append((boxes / scale).clamp(0, 1))
        return found

    def _load(self, device: torch.device) -> Callable[[list], list]:
        try:
            import mmcv.ops  # noqa: F401 - without them, MMDetection would log advice about CUDA before it fails
            import mmdet
            from mmdet.apis import inference_detector, init_detector
        except ImportError as error:
            raise mmdet_missing('MMDetProposals', error, "; or use proposals=dict(type='GridProposals')") from error
        config: Any = Path(self.config)
        if not config.is_file():
            config = Path(mmdet.__file__).parent / '.mim' / 'configs' / self.config
        if not config.is_file():
            raise ConfigError(f'MMDetProposals: config {self.config!r} is neither a file nor one of {config.parent}.')
        forbid_unsafe_loading()
        detector = init_detector(str(config), self.checkpoint, device=str(device))
        return lambda images: inference_detector(detector, images)


@contextlib.contextmanager
def _in_mmdet() -> Iterator[None]:
    """Use MMDetection's registry scope and hide its output on import, without effect on our run."""
    with (
        DefaultScope.overwrite_default_scope('mmdet'),
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter('ignore')
        yield
