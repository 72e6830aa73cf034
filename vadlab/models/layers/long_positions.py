import torch
from torch import Tensor

# Zhang et al., "Long-CLIP", 2024, arXiv:2403.15378: the first positions are well trained and stay unchanged.
KEPT_POSITIONS = 20


def stretch_positions(short: Tensor, length: int) -> Tensor:
    """Stretch a table of text positions: copy the first 20 rows, interpolate the rest linearly.

    77 positions become 248, and 64 become 196: the other rows are stretched by a factor of exactly 4. Rows beyond the
    last one are extrapolated linearly.

    Args:
        short (Tensor): Position embeddings, at least 22 rows, shape (l, d).
        length (int): Rows of the result, at least l.

    Returns:
        Tensor: Shape (length, d).
    """
    rest = short[KEPT_POSITIONS:]
    steps = torch.arange(length - KEPT_POSITIONS, device=short.device, dtype=torch.float64)
    place = steps * len(rest) / (length - KEPT_POSITIONS)
    below = place.floor().clamp(max=len(rest) - 2)
    fraction = (place - below).to(short.dtype)[:, None]
    below = below.long()
    return torch.cat([short[:KEPT_POSITIONS], torch.lerp(rest[below], rest[below + 1], fraction)])
