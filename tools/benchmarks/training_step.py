"""Base of benchmarks of a training step: AdamW's update, first results for comparison, and bytes of state."""

from typing import Any

import torch
from torch import Tensor, nn

from .harness import forget_peak


class TrainingStepJob:
    """Forward, backward and AdamW's update of one batch. A subclass builds ``model`` and gives the losses."""

    model: nn.Module | Any
    baseline_bytes: int

    def start(self, kind: str, weight_decay: float) -> None:
        """Build the optimizer, at the end of a constructor.

        Args:
            kind (str): ``reference`` trains with torch's default, the others with the fused one of our configs.
            weight_decay (float): Weight decay, as in the config.
        """
        fused = None if kind == 'reference' else True
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-7, weight_decay=weight_decay, fused=fused)
        forget_peak()
        self.steps = 0

    def losses(self) -> dict[str, Tensor]:
        """Losses of the batch, with their graph."""
        raise NotImplementedError

    def run(self) -> dict[str, Any]:
        """One step. The first one also reports the losses and the gradient's norm, for comparison."""
        losses = self.losses()
        self.optimizer.zero_grad()
        torch.stack([value.reshape(()) for value in losses.values()]).sum().backward()
        details: dict[str, Any] = {}
        if self.steps == 0:
            details = {name: value.item() for name, value in losses.items()}
            norms = [p.grad.norm() for p in self.model.parameters() if p.grad is not None]
            details['grad_norm'] = torch.stack(norms).norm().item()
        self.optimizer.step()
        self.steps += 1
        return details

    def finish(self) -> dict[str, Any]:
        """Bytes of weights, gradients and optimizer state."""
        tensors: list[Tensor] = [*self.model.parameters(), *self.model.buffers()]
        tensors += [p.grad for p in self.model.parameters() if p.grad is not None]
        for state in self.optimizer.state.values():
            tensors += [value for value in state.values() if torch.is_tensor(value)]
        return dict(state_bytes=sum(t.numel() * t.element_size() for t in tensors))
