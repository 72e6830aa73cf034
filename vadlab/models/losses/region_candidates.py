# Shapes: r regions, n candidates of a region (its caption and its negatives), d channels.
from torch import Tensor, float64


def region_candidates(
    loss: str, regions: Tensor, candidates: Tensor, valid: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Prepare regions, captions and hard negatives for a loss.

    Args:
        loss (str): Name of the loss, for the message.
        regions (Tensor): Region embeddings, shape (R, D).
        candidates (Tensor): Texts, the region's own caption first, shape (R, 1 + N, D).
        valid (Tensor): Which candidates exist, bool, shape (R, 1 + N).

    Returns:
        tuple: Regions and candidates in float32 (or float64), zero where they do not count; which candidates count,
        shape (R, 1 + N); which regions count, shape (R,): those with a caption and at least one negative.

    Raises:
        ValueError: The shapes do not match.
    """
    if candidates.shape[:2] != valid.shape or regions.shape != candidates[:, 0].shape:
        raise ValueError(
            f'{loss}: regions {tuple(regions.shape)}, candidates {tuple(candidates.shape)} and valid '
            f'{tuple(valid.shape)} do not fit.'
        )
    if regions.dtype != float64:
        regions, candidates = regions.float(), candidates.float()
    takes_part = valid[:, 0] & valid[:, 1:].any(dim=1)
    valid = valid & takes_part[:, None]
    # Masked entries may be NaN, and NaN * 0 is NaN.
    regions = regions.masked_fill(~takes_part[:, None], 0.0)
    return regions, candidates.masked_fill(~valid[..., None], 0.0), valid, takes_part
