"""Checks of the boxes and captions of regions."""

import copy

import numpy as np

from vadlab.datasets.formats.keyframes import shown_spans, track_boxes
from vadlab.registry import TOKENIZERS

from .check_context import CheckContext, SplitUnderTest, names


def check_boxes(splits: list[SplitUnderTest], context: CheckContext) -> None:
    """Find boxes below the pipeline's minimum area, and regions that lose all of their boxes."""
    for split in splits:
        step = split.transform('RegionsToBoxes')
        if step is None or not any(s.get('regions') for s in split.samples):
            continue
        least = step.get('min_box_area', 0.0)
        small, total, emptied = 0, 0, []
        for sample in split.samples:
            for number, region in enumerate(sample['regions']):
                spans = shown_spans(region)
                frames = np.concatenate([np.arange(a, b) for a, b in spans]) if len(spans) else np.zeros(0, int)
                boxes, valid = track_boxes(region, frames)
                area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
                is_small = valid & (area < least - 1e-6)
                small, total = small + int(is_small.sum()), total + int(valid.sum())
                if not (valid & ~is_small).any():
                    emptied.append(f'{sample["video_id"]} region {number}')
        check = f'{split.name} boxes'
        if small:
            text = f'{small} of {total} boxes lie below {least:.1%} of the frame and are dropped'
            text += f'; nothing is left of {names(emptied)}' if emptied else ''
            context.report.warn(check, text)
        else:
            context.report.passed(check, f'{total} boxes over all frames')


def check_captions(splits: list[SplitUnderTest], context: CheckContext) -> None:
    """Check token lengths and ids, and count captions with non-ASCII text."""
    has_long_path = bool(getattr(getattr(context.model, 'text', None), 'long_context_length', None))
    for split in splits:
        step, samples = split.transform('TokenizeCaptions'), split.samples
        if step is None or not samples:
            continue
        check = f'{split.name} captions'
        with context.report.failing(check) as ok:
            tokenizer = TOKENIZERS.build(copy.deepcopy(step.get('tokenizer') or {'type': 'CLIPTokenizer'}))
        if not ok():
            continue
        captions = [(s['video_id'], s['caption']) for s in samples if s.get('caption')]
        captions += [
            (s['video_id'], text)
            for s in samples
            for r in s.get('regions', [])
            for text in (r['caption'], *r.get('negatives', []))
        ]
        if not captions:
            context.report.warn(check, 'there are none: nothing but frame scores can be tested')
            continue
        longest = step.get('max_len', 248)
        size = context.config.model.get('text', {}).get('vocab_size', 49408)
        encoded = {text: tokenizer.encode(text, max_len=10**6) for text in {text for _, text in captions}}
        outside = [v for v, text in captions if not 0 <= min(encoded[text]) <= max(encoded[text]) < size]
        long = [v for v, text in captions if len(encoded[text]) > 77]
        cut = [v for v, text in captions if len(encoded[text]) > longest]
        other = sum(not text.isascii() for _, text in captions)
        if outside:
            context.report.fail(check, f'token ids beyond the vocabulary of {size}: {names(outside)}')
        most = max(map(len, encoded.values()))
        text = f'{len(captions)} captions, {len(encoded)} of them distinct, longest {most} tokens'
        context.report.passed(check, f'{text}, {len(long)} over 77')
        if long and not has_long_path:
            context.report.warn(check, f'{len(long)} captions are cut at 77 tokens: the text tower has no long path')
        if cut:
            context.report.warn(check, f'{len(cut)} captions are cut at {longest} tokens: {names(cut)}')
        if other:
            context.report.warn(check, f'{other} captions ({other / len(captions):.1%}) have non-ASCII text')
