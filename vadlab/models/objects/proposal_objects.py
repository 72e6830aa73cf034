import numpy as np
import torch
from torch import nn

from vadlab.registry import MODELS

from .objects import Objects


@MODELS.register_module()
class ProposalObjects(nn.Module):
    """Objects from a module of region proposals, such as :class:`~vadlab.models.heads.MMDetProposals`, without classes.

    Args:
        proposals (dict): Config of the module: uint8 RGB frames of shape (T, 3, H, W) to boxes ``xyxyn``,
            shape (T, P, 4) or (P, 4).
        max_share (float): Boxes that cover more of the frame are dropped: proposals include the whole frame.
    """

    classes: tuple[str, ...] = ()

    def __init__(self, proposals: dict, max_share: float = 0.5) -> None:
        super().__init__()
        self.proposals = MODELS.build(proposals)
        self.max_share = max_share

    def start_clip(self) -> None:
        """Do nothing: frames are independent."""

    def detect(self, frame: np.ndarray, flow: np.ndarray | None = None) -> Objects:
        """Objects of a frame: RGB, uint8, shape (H, W, 3)."""
        with torch.no_grad():
            found = self.proposals(torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None])
        found = found.reshape(-1, 4)  # some return the boxes of each frame, some one set for all
        share = (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])
        boxes = found[(share > 0) & (share <= self.max_share)].cpu().numpy()
        height, width = frame.shape[:2]
        boxes = boxes * np.array([width, height, width, height], np.float32)
        return Objects(
            np.unique(boxes, axis=0).astype(np.float32), np.zeros((len(np.unique(boxes, axis=0)), 0), np.float32)
        )
