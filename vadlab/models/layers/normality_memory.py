# Shapes: n queries (all positions of all feature maps of a batch), m items, d channels.
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NormalityMemory(nn.Module):
    """Memory items of normal features, read by attention and updated without gradients.

    Park et al., "Learning Memory-guided Normality for Anomaly Detection", CVPR 2020, arXiv:2003.13228, equations 1 to
    10; the authors' code is https://github.com/cvlab-yonsei/MNAD. Items are a buffer: they are in checkpoints. With
    several processes, DistributedDataParallel copies the first process's items to the others before each step.

    Args:
        num_items (int): Items m.
        width (int): Channels d.
    """

    items: Tensor

    def __init__(self, num_items: int, width: int) -> None:
        super().__init__()
        self.register_buffer('items', F.normalize(torch.rand(num_items, width), dim=1))

    def read(self, query_nd: Tensor, items_md: Tensor | None = None) -> Tensor:
        """Weighted sum of items for each query, without gradients, as in the code, float32, shape (n, d).

        Args:
            query_nd (Tensor): Queries of unit length, shape (n, d).
            items_md (Tensor | None): Items to read instead of the module's own.
        """
        items_md = self.items if items_md is None else items_md
        return (query_nd.detach() @ items_md.T).softmax(1) @ items_md

    def losses(self, query_nd: Tensor) -> tuple[Tensor, Tensor]:
        """Compactness: mean squared difference to the nearest item. Separateness: triplet loss to the two nearest."""
        nearest = (query_nd.detach() @ self.items.T).topk(2, 1).indices
        first, second = self.items[nearest[:, 0]], self.items[nearest[:, 1]]
        return F.mse_loss(query_nd, first), F.triplet_margin_loss(query_nd, first, second, margin=1.0)

    def distance(self, query_nd: Tensor, items_md: Tensor | None = None) -> Tensor:
        """Mean squared difference of each query to its nearest item, shape (n,)."""
        items_md = self.items if items_md is None else items_md
        return (query_nd - items_md[(query_nd @ items_md.T).argmax(1)]).square().mean(1)

    def updated(self, query_nd: Tensor, items_md: Tensor | None = None) -> Tensor:
        """Items moved towards the queries that they are nearest to, without gradients, shape (m, d).

        A query counts by its softmax over all queries, divided by the largest of its item.
        """
        items_md = self.items if items_md is None else items_md
        query_nd = query_nd.detach()
        similarity_nm = query_nd @ items_md.T
        over_queries_nm = similarity_nm.softmax(0)
        share_nm = over_queries_nm / over_queries_nm.amax(0)
        is_nearest_nm = F.one_hot(similarity_nm.argmax(1), len(items_md)).to(share_nm.dtype)
        return F.normalize(items_md + (share_nm * is_nearest_nm).T @ query_nd, dim=1)
