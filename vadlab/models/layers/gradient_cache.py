# Shapes: n samples, k texts, d channels of the joint space.
import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

from .distinct import distinct
from .host_copy import to_device


@MODELS.register_module()
class GradientCache:
    """Encodes a large contrastive batch chunk by chunk, with the exact gradients of the whole batch.

    Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", 2021, arXiv:2101.06983,
    section 3. All chunks are encoded without storing activations. The loss and its gradients with respect to the
    embeddings are computed on the whole batch. Then each chunk is encoded again, now with activations, and the
    gradients of its embeddings go on to the weights. Memory is that of one chunk, compute about 4/3 of the plain pass.

    The paper's loop calls backward for each chunk. Here each chunk is one activation checkpoint, which does the same
    inside a single call of ``backward()``. So mixed precision, loss scaling, gradient accumulation, gathering over
    ranks and DistributedDataParallel need no extra code. A chunk draws the same random numbers both times.

    Args:
        contrast_batch (int): Samples of a batch on one rank, all contrasted with each other, a multiple of ``chunk``.
        chunk (int): Samples encoded at once, >= 1. It bounds memory and does not change the result.

    Raises:
        ConfigError: ``contrast_batch`` is not a multiple of ``chunk``, or is smaller.
    """

    def __init__(self, contrast_batch: int, chunk: int) -> None:
        if chunk > contrast_batch:
            raise ConfigError(
                f'GradientCache: {chunk=} is larger than {contrast_batch=}. Set chunk to the number of samples that '
                'fit in memory, for example 2, or contrast_batch=None for training without gradient cache.'
            )
        if contrast_batch % chunk:
            lower = contrast_batch - contrast_batch % chunk
            raise ConfigError(
                f'GradientCache: {contrast_batch=} is not a multiple of {chunk=}. Set contrast_batch={lower} or '
                f'{lower + chunk}, or another chunk.'
            )
        self.contrast_batch = contrast_batch
        self.chunk = chunk

    @classmethod
    def of(cls, options: dict | None, data_preprocessor: nn.Module) -> 'GradientCache | None':
        """Build it from a model's config; the preprocessor then keeps training batches on the host.

        Args:
            options (dict | None): ``contrast_batch`` and ``chunk``; None for no gradient cache.
            data_preprocessor (nn.Module): The model's; one without ``keeps_on_host`` stays as it is.
        """
        if options is None:
            return None
        if hasattr(data_preprocessor, 'keeps_on_host'):
            data_preprocessor.keeps_on_host = True
        return MODELS.build(dict(type='GradientCache') | options)

    def check_batch(self, size: int) -> None:
        """Warn before training if the loader's batches are smaller than ``contrast_batch``."""
        if size < self.contrast_batch:
            print_log(
                f'GradientCache: contrast_batch={self.contrast_batch}, but the first batch has {size} samples, so only '
                'these are contrasted. Set batch_size of train_dataloader to contrast_batch, if there are as many '
                'training samples.',
                logger='current',
                level=logging.WARNING,
            )

    def over_samples(
        self, encode: Callable[[int, int], tuple[Tensor, ...]], count: int, device: torch.device
    ) -> tuple[Tensor, ...]:
        """Encode samples chunk by chunk.

        Args:
            encode (Callable): Takes the first sample of a chunk and one past the last; returns tensors whose rows
                belong to these samples, in order.
            count (int): Number of samples, > 0. The last chunk may be smaller.
            device (torch.device): Device of the random numbers that ``encode`` draws.

        Returns:
            tuple[Tensor, ...]: What ``encode`` returns for all samples.
        """
        starts = range(0, count, self.chunk)
        parts = [_encode_twice(encode, (i, min(i + self.chunk, count)), device) for i in starts]
        return tuple(torch.cat(rows) for rows in zip(*parts, strict=True))

    def over_texts(
        self,
        encode: Callable[[list[Tensor], list[str]], Tensor],
        tokens: Sequence[Tensor],
        paths: Sequence[str],
        count: int,
        device: torch.device,
    ) -> Tensor:
        """Encode the texts of ``count`` samples in as many parts as the samples.

        Equal texts are encoded once. Texts of similar length share a part, so that little is padded.

        Args:
            encode (Callable): Takes token ids of some texts and their paths; returns their embeddings.
            tokens (Sequence[Tensor]): Token ids of k texts on the CPU, int64, shape (l_k,) each.
            paths (Sequence[str]): Path of each text through the tower, such as ``short`` and ``long``.
            count (int): Number of samples, > 0.
            device (torch.device): Device of the random numbers that ``encode`` draws.

        Returns:
            Tensor: Shape (k, d).
        """
        if not tokens:
            return encode([], [])
        firsts, text_of_k = distinct([(path, *t.tolist()) for t, path in zip(tokens, paths, strict=True)])
        order = sorted(firsts, key=lambda k: (paths[k], len(tokens[k])))
        size = -(-len(order) // -(-count // self.chunk))

        def part(start: int, stop: int) -> tuple[Tensor]:
            rows = order[start:stop]
            return (encode([tokens[k] for k in rows], [paths[k] for k in rows]),)

        starts = range(0, len(order), size)
        parts = [_encode_twice(part, (i, min(i + size, len(order))), device) for i in starts]
        place = {k: row for row, k in enumerate(order)}
        rows_k = torch.tensor([place[firsts[u]] for u in text_of_k])
        return torch.cat([rows for (rows,) in parts])[to_device(rows_k, device)]


def _encode_twice(
    encode: Callable[..., tuple[Tensor, ...]], arguments: tuple[Any, ...], device: torch.device
) -> tuple[Tensor, ...]:
    """Call ``encode`` without storing activations, and in backward again, with the same random numbers."""
    if not torch.is_grad_enabled():
        return encode(*arguments)
    states: list[Tensor] = []

    def call() -> tuple[Tensor, ...]:
        if not states:
            states.extend(_random_states(device))
            return encode(*arguments)
        # torch's own checkpoint finds the device in the arguments of the function, and pixels wait on the CPU here.
        with torch.random.fork_rng([device] if device.type == 'cuda' else [], device_type='cuda'):
            torch.set_rng_state(states[0])
            if device.type == 'cuda':
                torch.cuda.set_rng_state(states[1], device)
            return encode(*arguments)

    return checkpoint(call, use_reentrant=False, preserve_rng_state=False)


def _random_states(device: torch.device) -> list[Tensor]:
    cuda = [torch.cuda.get_rng_state(device)] if device.type == 'cuda' else []
    return [torch.get_rng_state(), *cuda]
