# Shapes: b videos, t snippets; dimensions after t (classes) are kept.
import torch
from torch import Tensor


def top_snippets(scores: Tensor, mask_bt: Tensor, divisor: int = 16) -> Tensor:
    """Weights that average over the highest-scoring snippets of each video.

    Multiple instance learning scores a video by its top snippets: the ``n // divisor + 1`` highest of its n real ones
    (Wu et al., "Not only Look, but also Listen", ECCV 2020, arXiv:2007.04687, and most methods since).
    ``(weights * values).sum(1)`` is the mean of any values over the chosen snippets, for all videos at once.

    Args:
        scores (Tensor): Scores to rank snippets by, shape (b, t) or (b, t, k); each of the k classes is ranked
            separately.
        mask_bt (Tensor): True at real snippets, at least one per video, bool, shape (b, t).
        divisor (int): One in ``divisor`` snippets is chosen, plus one.

    Returns:
        Tensor: 1 / (number of chosen snippets) at the chosen snippets, 0 elsewhere; shape and dtype of ``scores``. No
        gradient flows through the choice.

    Example:
        >>> import torch
        >>> top_snippets(torch.tensor([[0.1, 0.9, 0.5]]), torch.tensor([[True, True, True]]), divisor=2)
        tensor([[0.0000, 0.5000, 0.5000]])
    """
    tail = (1,) * (scores.dim() - 2)
    lengths_b = mask_bt.sum(1)
    numbers_b = torch.minimum(lengths_b // divisor + 1, lengths_b)
    candidates = scores.detach().masked_fill(~mask_bt.view(*mask_bt.shape, *tail), -torch.inf)
    # Enough ranks for the longest video; ranks beyond a video's own number get weight 0.
    most = min(scores.shape[1], scores.shape[1] // divisor + 1)
    places = candidates.topk(most, dim=1).indices
    chosen = torch.arange(most, device=scores.device) < numbers_b[:, None]
    shares = (chosen / numbers_b[:, None]).to(scores.dtype).view(*chosen.shape, *tail).expand_as(places)
    return torch.zeros_like(candidates).scatter(1, places, shares)
