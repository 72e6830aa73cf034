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
    """Check token lengths and ids, and compare captions of different languages side by side."""
    for split in splits:
        step, samples = split.transform('TokenizeCaptions'), split.samples
        if step is None or not samples:
            continue
        check = f'{split.name} captions'
        with context.report.failing(check) as ok:
            tokenizer = TOKENIZERS.build(copy.deepcopy(step.get('tokenizer') or {'type': 'CLIPTokenizer'}))
        if not ok():
            continue
        tower = getattr(context.model, 'text', None)
        short = getattr(tower, 'context_length', step.get('short_len', 77))
        long_places = getattr(tower, 'long_context_length', None)
        longest = min(step.get('max_len', 248), long_places or short)  # the model cuts what the pipeline leaves
        region_longest = min(step.get('region_len') or longest, longest)
        captions = [(s['video_id'], s['caption'], longest) for s in samples if s.get('caption')]
        captions += [
            (s['video_id'], text, region_longest)
            for s in samples
            for r in s.get('regions', [])
            for text in (r['caption'], *r.get('negatives', []))
        ]
        if not captions:
            context.report.warn(check, 'there are none: nothing but frame scores can be tested')
            continue
        size = context.config.model.get('text', {}).get('vocab_size', 49408)
        encoded = {text: tokenizer.encode(text, max_len=10**6) for text in {text for _, text, _ in captions}}
        outside = [v for v, text, _ in captions if not 0 <= min(encoded[text]) <= max(encoded[text]) < size]
        long = [v for v, text, _ in captions if len(encoded[text]) > short]
        cut = [v for v, text, limit in captions if len(encoded[text]) > limit]
        if outside:
            context.report.fail(check, f'token ids beyond the vocabulary of {size}: {names(outside)}')
        most = max(map(len, encoded.values()))
        source = getattr(tokenizer, 'source', None)
        name = type(tokenizer).__name__ + (f' of {source}' if source else '')
        text = f'{len(captions)} captions, {len(encoded)} of them distinct, longest {most} tokens'
        context.report.passed(check, f'{text}, {len(long)} over {short}; tokenizer: {name}')
        rows = [(_language(text), text, len(encoded[text]), limit) for _, text, limit in captions]
        for language in dict.fromkeys(row[0] for row in sorted(rows)):
            own = [row for row in rows if row[0] == language]
            context.report.passed(f'{split.name} {language}', _of_language(own, short, len(captions)))
        if long and not long_places:
            context.report.warn(
                check, f'{len(long)} captions are cut at {short} tokens: the text tower has no long path'
            )
        elif cut:
            limits = dict.fromkeys((longest, region_longest))
            context.report.warn(
                check, f'{len(cut)} captions are cut at {" and ".join(map(str, limits))} tokens: {names(cut)}'
            )


def _language(text: str) -> str:
    """A guess from the script: Chinese with a Chinese character, English in ASCII, otherwise other."""
    if any('\u3400' <= char <= '\u9fff' or '\uf900' <= char <= '\ufaff' for char in text):
        return 'Chinese'
    return 'English' if text.isascii() else 'other text'


def _of_language(rows: list[tuple[str, str, int, int]], short: int, total: int) -> str:
    """Token lengths of one language's captions, in the same form for each."""
    lengths = np.array([length for _, _, length, _ in rows])
    characters = sum(len(text) for _, text, _, _ in rows)
    cut = np.mean([length > limit for _, _, length, limit in rows])
    return (
        f'{len(rows)} captions ({len(rows) / total:.1%}): {int(np.median(lengths))} tokens at the median, longest '
        f'{lengths.max()}, {lengths.sum() / max(characters, 1):.2f} per character; {np.mean(lengths > short):.1%} over '
        f'{short}, {cut:.1%} cut'
    )
