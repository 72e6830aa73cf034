"""Measure the zero-shot accuracy of the small CLIP: ``python tools/score_synthetic_clip.py WEIGHTS``."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vadlab.evaluation.functional.ranking import average_precision, rank_counts, roc_auc
from vadlab.evaluation.functional.retrieval import recall_at, retrieval_ranks, text_groups
from vadlab.utils.cli import run_cli
from vadlab.utils.json_file import write_json
from vadlab.utils.option_checks import require_file
from vadlab.utils.printable import say
from vadlab.utils.required_files import require_clip_weights, require_config
from vadlab.utils.runtime import format_table, format_value

if TYPE_CHECKING:
    import torch


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Metrics of the small CLIP on held-out scenes: retrieval of everyday captions, and zero-shot '
        'detection of events.'
    )
    parser.add_argument('weights', help='a training checkpoint or a .safetensors file of the small CLIP')
    parser.add_argument(
        '--config', default='configs/clip_everyday_pretrain.py', help='config of the model (default: %(default)s)'
    )
    parser.add_argument(
        '--split', default='val', choices=('train', 'val', 'test'), help='split of the scenes (default: val)'
    )
    parser.add_argument('--frames', type=int, default=1024, help='number of frames, a multiple of 64 (default: 1024)')
    parser.add_argument('--json', type=Path, help='also write the metrics to this file')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    require_config(args.config)
    require_clip_weights(args.weights)
    require_file(args.json, '--json')

    import torch

    from vadlab.registry import MODELS
    from vadlab.utils.config import load_config
    from vadlab.utils.setup_env import register_all_modules

    register_all_modules()
    config = load_config(args.config)
    model = MODELS.build({**config.model, 'pretrained': args.weights})
    model.init_weights()
    with torch.no_grad():
        figures = score(model.eval(), args.split, args.frames)
    say(format_table([(name, format_value(value)) for name, value in figures.items()], ('figure', 'value')))
    if args.json is not None:
        write_json(args.json, figures)
    return 0


def score(model: torch.nn.Module, split: str, frames: int) -> dict[str, float]:
    """The metrics by name.

    Everyday frames retrieve their captions among 64, and their regions retrieve theirs among the regions of the same
    frames. Frames of the demo's events, and calm frames of the same videos, are classified as normal or anomalous with
    FG-CLIP's prompts, which hold words that the small CLIP has never read.
    """
    import torch
    from mmengine.dataset import pseudo_collate

    from vadlab.models.heads.prompt_scoring_head import PromptScoringHead
    from vadlab.simulators.surveillance.story import STORIES
    from vadlab.simulators.surveillance.synthetic_frames import SyntheticFrames, event_frames

    def batches(items: Iterable[dict]) -> Iterator[dict]:
        for block in _blocks(items, 64):
            yield model.data_preprocessor(pseudo_collate(block), training=False)

    def recall(queries: torch.Tensor, captions: torch.Tensor, texts: list[str]) -> float:
        groups = text_groups(texts)
        return recall_at(retrieval_ranks(queries.numpy(), captions.numpy(), groups, groups), 1)

    dataset = SyntheticFrames(size=frames, seed=1, split=split, image_size=model.vision.image_size)
    of_frames, of_regions, sizes = [], [], []
    for batch in batches(dataset[i] for i in range(frames)):
        samples = model.predict(batch['inputs'], batch['data_samples'])
        captions = torch.stack([sample.pred_caption_embed for sample in samples])
        embeds = torch.stack([sample.pred_video_embed for sample in samples])
        of_frames.append(recall(embeds, captions, [sample.gt_caption for sample in samples]))
        regions = [sample.pred_regions for sample in samples]
        captions, embeds = (torch.cat([r[field] for r in regions]) for field in ('caption_embeds', 'embeds'))
        of_regions.append(recall(embeds, captions, [t for sample in samples for t in sample.gt_regions.captions]))
        sizes.append(len(embeds))
    figures = {
        f'everyday frame to caption R@1 of {min(frames, 64)}': float(np.mean(of_frames)),
        f'everyday region to caption R@1 of {np.mean(sizes):.0f}': float(np.mean(of_regions)),
    }

    head = PromptScoringHead(STORIES['events'].classes)
    prompts = head.ensemble(model.encode_texts([torch.tensor(dataset.tokenizer.encode(t)) for t in head.texts]))
    items, kinds = event_frames(frames, split, dataset.image_size)
    logits = [
        head(model(batch['inputs'])['frame_embeds'][:, 0][None], prompts, model.logit_scale.exp())[0][0].numpy()
        for batch in batches(items)
    ]
    counts = rank_counts(np.concatenate(logits), np.array([kind != 'Normal' for kind in kinds]))
    figures |= {'event frame AUC, zero-shot': roc_auc(counts), 'event frame AP, zero-shot': average_precision(counts)}
    return figures


def _blocks(items: Iterable[dict], size: int) -> Iterator[list[dict]]:
    """Lists of ``size`` items in order; the last may be shorter."""
    source = iter(items)
    while block := list(itertools.islice(source, size)):
        yield block


if __name__ == '__main__':
    run_cli(main)
