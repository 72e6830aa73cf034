"""Attention's forward and backward pass in bfloat16 on a CPU: torch's kernel, and with float32 inside."""

from typing import Any

import torch
import torch.nn.functional as F

from vadlab.models.layers.attention import attend

from .harness import Entry, Report, compete

REFERENCE = "torch's kernel"
# Sequences, heads, tokens, channels of a head: a chunk of frames in ViT-B/32 and B/16, and texts.
CASES: dict[str, tuple[int, int, int, int]] = {
    'ViT-B/32, 32 frames': (32, 12, 50, 64),
    'ViT-B/16, 16 frames': (16, 12, 197, 64),
    'text tower, 32 texts, causal': (32, 8, 24, 64),
}
SIZES: dict[str, int] = {'published': 10, 'tiny': 1}  # repetitions in a run


class AttentionJob:
    """Forward and backward.

    Args:
        kind: ``reference`` or ``ours``.
        case: A key of :data:`CASES`.
        repeat: Repetitions.
    """

    def __init__(self, kind: str, case: str, repeat: int) -> None:
        self.ours = kind == 'ours'
        self.causal = 'causal' in case
        self.repeat = repeat
        n, heads, tokens, channels = CASES[case]
        generator = torch.Generator().manual_seed(0)
        self.exact = torch.randn(3, n, heads, tokens, channels, generator=generator).bfloat16().double()

    def _gradient(self, dtype: torch.dtype) -> torch.Tensor:
        inputs = self.exact.to(dtype).requires_grad_()
        query, key, value = inputs.unbind(0)
        if self.ours:
            out = attend(query, key, value, causal=self.causal)
        else:
            out = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        (found,) = torch.autograd.grad(out, inputs, torch.linspace(-1, 1, out.numel(), dtype=dtype).view_as(out))
        return found

    def run(self) -> dict[str, Any]:
        """All repetitions."""
        for _ in range(self.repeat):
            self._gradient(torch.bfloat16)
        return {}

    def finish(self) -> dict[str, Any]:
        """The gradient's distance to that in float64, as a share of its norm."""
        exact = self._gradient(torch.float64)
        return dict(error=((self._gradient(torch.bfloat16).double() - exact).norm() / exact.norm()).item())


def run(runs: int = 5, size: str = 'published') -> Report:
    """Measure attention.

    Args:
        runs: Runs per comparison.
        size: A key of :data:`SIZES`.
    """
    report = Report()
    for case in CASES:
        entries = [
            Entry(name, 'attention:AttentionJob', dict(kind=kind, case=case, repeat=SIZES[size]), threads=1)
            for name, kind in ((REFERENCE, 'reference'), ('VADLab, float32 inside', 'ours'))
        ]
        rows = compete('attention', f'bfloat16, {case}', entries, runs, REFERENCE)
        report.rows += rows
        plain, ours = (row.details.get('error', float('nan')) for row in rows)
        if not ours <= 1.05 * plain:
            report.errors.append(f'attention, {case}: error {ours:.2g}, that of torch {plain:.2g}')
    return report
