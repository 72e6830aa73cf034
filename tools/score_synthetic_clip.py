"""Measure the zero-shot accuracy of the small CLIP: ``python tools/score_synthetic_clip.py WEIGHTS``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vadlab.evaluation.functional.ranking import average_precision, rank_counts, roc_auc
from vadlab.evaluation.functional.retrieval import recall_at, retrieval_ranks, text_groups
from vadlab.utils.cli import run_cli
from vadlab.utils.json_file import write_json
from vadlab.utils.printable import say
from vadlab.utils.required_files import require_clip_weights, require_config
from vadlab.utils.runtime import format_table, format_value

if TYPE_CHECKING:
    import torch


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Zero-shot metrics of a CLIP on single frames of held-out scenes.')
    parser.add_argument('weights', help='a training checkpoint or a .safetensors file of the small CLIP')
    parser.add_argument(
        '--config', default='configs/clip_synthetic_pretrain.py', help='config of the model (default: %(default)s)'
    )
    parser.add_argument(
        '--split', default='val', choices=('train', 'val', 'test'), help='split of the scenes (default: val)'
    )
    parser.add_argument('--frames', type=int, default=2048, help='number of frames (default: 2048)')
    parser.add_argument('--json', type=Path, help='also write the metrics to this file')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    require_config(args.config)
    require_clip_weights(args.weights)

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

    Whole frames are classified as normal or anomalous and into classes, with FG-CLIP's prompts. Close-ups retrieve
    their region captions, and whole frames their captions, among 128 pictures each.
    """
    import torch
    from mmengine.dataset import pseudo_collate

    from vadlab.datasets.ucf_crime_regions import UCF_CRIME_CLASSES
    from vadlab.models.heads.prompt_scoring_head import PromptScoringHead
    from vadlab.simulators.surveillance.synthetic_frames import SyntheticFrames

    dataset = SyntheticFrames(size=2 * frames, seed=1, split=split, chinese=0.0, prompts=0.0)
    head = PromptScoringHead(UCF_CRIME_CLASSES)
    tokens = [torch.tensor(dataset.tokenizer.encode(text)) for text in head.texts]
    prompts = head.ensemble(model.embed_captions(tokens))
    embeds, captions, labels = [], [], []
    for start in range(0, len(dataset), 128):
        batch = pseudo_collate([dataset[i] for i in range(start, min(start + 128, len(dataset)))])
        batch = model.data_preprocessor(batch, training=False)
        embeds.append(model.embed_frames(batch['inputs']))
        captions.append([sample.gt_caption for sample in batch['data_samples']])
        labels += [sample.gt_label for sample in batch['data_samples']]
    whole = torch.arange(len(dataset)) % 4 < 2
    frame_ne, label_n = torch.cat(embeds)[whole], np.array(labels)[whole.numpy()]
    anomaly_logits = head(frame_ne[None], prompts, model.logit_scale.exp())[0].numpy()
    counts = rank_counts(anomaly_logits, label_n > 0)
    figures = {'frame AUC': roc_auc(counts), 'frame AP': average_precision(counts)}

    # One logit per class of the simulator: the mean over its phrases.
    owners = [name for name in UCF_CRIME_CLASSES for _ in range(_phrases(name))]
    known = sorted(set(label_n.tolist()))
    logits = torch.stack(
        [prompts[[o == UCF_CRIME_CLASSES[k] for o in owners]].mean(0) @ frame_ne.T for k in known], dim=1
    )
    found = np.array(known)[logits.argmax(1).numpy()]
    figures['class accuracy'] = float((found == label_n).mean())
    for k in known[1:]:
        chosen = (label_n == 0) | (label_n == k)
        figures[f'frame AUC, {UCF_CRIME_CLASSES[k]}'] = roc_auc(
            rank_counts(anomaly_logits[chosen], label_n[chosen] > 0)
        )

    for name, wanted in (('frame', (0, 1)), ('close-up', (2, 3))):
        recalls = []
        for block, texts in zip(embeds, captions, strict=True):
            rows = [i for i in range(len(texts)) if i % 4 in wanted]
            chosen_texts = [texts[i] for i in rows]
            text_embeds = model.embed_captions([torch.tensor(dataset.tokenizer.encode(t)) for t in chosen_texts])
            groups = text_groups(chosen_texts)
            ranks = retrieval_ranks(block[rows].numpy(), text_embeds.numpy(), groups, groups)
            recalls.append(recall_at(ranks, 1))
        figures[f'{name} to caption R@1 of 64'] = float(np.mean(recalls))
    return figures


def _phrases(name: str) -> int:
    from vadlab.models.heads.prompt_scoring_head import PromptScoringHead

    return len(PromptScoringHead((name, 'other'), normal_class=name).phrases) - 1


if __name__ == '__main__':
    run_cli(main)
