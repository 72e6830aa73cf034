"""Encode captions: trimmed to the longest of the batch and each distinct one once, compared with 77 positions each."""

from typing import Any

import torch
from torch import Tensor

from .harness import Entry, Report, compete
from .plain_fgclip import ARCHITECTURES, PlainFGCLIP, make_clip

REFERENCE = 'plain reference, 77 positions'


def make_texts(count: int, distinct: int, longest: int = 30, seed: int = 0) -> list[Tensor]:
    """Random captions of 10 to ``longest`` tokens, ``distinct`` different ones among ``count``."""
    generator = torch.Generator().manual_seed(seed)
    texts = []
    for _ in range(distinct):
        length = int(torch.randint(10, longest + 1, (), generator=generator))
        ids = torch.randint(0, 49406, (length,), generator=generator)
        ids[0], ids[-1] = 49406, 49407
        texts.append(ids)
    return [texts[i % distinct] for i in range(count)]


class TextJob:
    """Encode captions without gradients.

    Args:
        kind: ``reference``, ``ours``, or ``untrimmed``: our tower, with one caption of 77 tokens in the batch so that
            all are padded to it.
        arch: A key of ``ARCHITECTURES``.
        count: Captions.
        distinct: How many of them differ.
    """

    def __init__(self, kind: str, arch: str, count: int, distinct: int) -> None:
        self.kind = kind
        self.texts = make_texts(count, distinct)
        if kind == 'reference':
            self.plain = PlainFGCLIP(make_clip(arch))
        else:
            from .step import build_ours

            self.ours = build_ours(arch, with_cp=False).eval()
        if kind == 'untrimmed':
            filler = torch.full((77,), 100)
            filler[0], filler[-1] = 49406, 49407
            self.texts = [*self.texts, filler]
        self.width = ARCHITECTURES[arch]['projection_dim']

    @torch.no_grad()
    def run(self) -> dict[str, Any]:
        """Encode all; return the first channels of the embeddings, for comparison."""
        if self.kind == 'reference':
            embeds = self.plain.encode_texts(self.texts)
        else:
            embeds = self.ours.text_projection(self.ours.text(self.texts))
        if self.kind == 'untrimmed':
            embeds = embeds[:-1]
        return dict(embeds=embeds[:8, :4].tolist())


def run(runs: int = 5, arch: str = 'ViT-B/32', count: int = 32, repeats: tuple[int, ...] = (1, 4)) -> Report:
    """Measure text encoding.

    Args:
        runs: Runs per comparison.
        arch: A key of ``ARCHITECTURES``.
        count: Captions per batch.
        repeats: Occurrences of each caption in the batch; one comparison per value.
    """
    report = Report()
    for repeat in repeats:
        distinct = count // repeat
        case = f'{count} captions of 10 to 30 tokens, {distinct} distinct'
        first: dict[str, Any] = {}
        entries = [
            Entry(name, 'text:TextJob', dict(kind=kind, arch=arch, count=count, distinct=distinct), units=count)
            for name, kind in ((REFERENCE, 'reference'), ('VADLab', 'ours'), ('VADLab, not trimmed', 'untrimmed'))
        ]
        report.rows += compete('text', case, entries, runs, REFERENCE, 'captions/s', on_first=first.__setitem__)
        for name, details in first.items():
            gap = (torch.tensor(details['embeds']) - torch.tensor(first[REFERENCE]['embeds'])).abs().max().item()
            if gap > 1e-4:
                report.errors.append(f'text, {case}: {name} differs from the reference by {gap:.2g}')
        for row in report.rows:
            if row.note and row.case == case:
                report.errors.append(f'text, {case}: {row.name}: {row.note}')
    return report
