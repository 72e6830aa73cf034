"""Measure what each modality adds: ``python tools/ablate_modalities.py CONFIG CHECKPOINT --out DIR``."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vadlab.utils.atomic import no_empty_folders, write_text
from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError
from vadlab.utils.json_file import write_json
from vadlab.utils.option_checks import require_folder
from vadlab.utils.printable import say
from vadlab.utils.required_files import require_checkpoint, require_config
from vadlab.utils.runtime import add_common_arguments, config_from_arguments

if TYPE_CHECKING:
    from vadlab.apis.modality_ablation import AblationRow
    from vadlab.engine.runner import VADRunner
    from vadlab.evaluation.metrics.classification_metric import HeadPredictions


_UNUSED = ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'val_dataloader', 'val_cfg')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Test trained models with each modality alone and with all of them. Writes one table of all heads, '
        'for all classes and for chosen ones.'
    )
    parser.add_argument(
        'experiments', nargs='+', metavar='CONFIG CHECKPOINT', help='one pair, or several pairs for one table'
    )
    parser.add_argument('--out', required=True, metavar='DIR', help='folder for table.md, results.json and figures')
    parser.add_argument(
        '--subset',
        nargs='+',
        default=[],
        metavar='FILE.json',
        help='JSON with a list of classes per head: also report the metrics of clips of these classes',
    )
    add_common_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    if len(args.experiments) % 2:
        raise ConfigError('Each config needs a checkpoint after it: CONFIG CHECKPOINT [CONFIG CHECKPOINT ...].')
    out = Path(args.out)
    with no_empty_folders(out):
        ablate(args, out)
    return 0


def ablate(args: argparse.Namespace, out: Path) -> None:
    """Test all experiments with each modality, and write the table and the pictures."""
    require_folder(out, '--out')
    pairs = list(zip(args.experiments[::2], args.experiments[1::2], strict=True))
    names = method_names([config for config, _ in pairs])
    for config, _ in pairs:
        require_config(config)
    pairs = [(config, require_checkpoint(checkpoint)) for config, checkpoint in pairs]

    from vadlab.apis.modality_ablation import (
        ablation_json,
        ablation_markdown,
        ablation_rows,
        read_subsets,
        tested_with_each,
    )
    from vadlab.checkpoints.checkpoint_io import read_checkpoint

    subsets = read_subsets(args.subset)
    for _, checkpoint in pairs:  # find a wrong file before minutes of testing
        read_checkpoint(checkpoint)
    rows: list[AblationRow] = []
    soundless = 0
    for name, (config, checkpoint) in zip(names, pairs, strict=True):
        runner = build(args, name, config, checkpoint, out)
        found = tested_with_each(runner)
        rows += ablation_rows(name, found, subsets)
        soundless = without_sound(runner)
        draw(name, found, [row for row in rows if row.method == name], subsets, out)
    markdown = ablation_markdown(rows, soundless)
    write_text(out / 'table.md', markdown)
    write_json(out / 'results.json', {'experiments': pairs, 'rows': ablation_json(rows)})
    say(f'\n{markdown}\n{out}: table.md, results.json, figures')


def method_names(configs: Sequence[str]) -> list[str]:
    """The file names of the configs without suffix, numbered if one occurs twice."""
    stems = [Path(config).stem for config in configs]
    count, seen = Counter(stems), Counter[str]()
    names = []
    for stem in stems:
        seen[stem] += 1
        names.append(f'{stem} {seen[stem]}' if count[stem] > 1 else stem)
    return names


def build(args: argparse.Namespace, name: str, config_file: str, checkpoint: str, out: Path) -> VADRunner:
    """Build the experiment for a test only."""
    from vadlab.engine.runner import VADRunner
    from vadlab.utils.config import require_parts

    args.config = config_file
    config = config_from_arguments(args)
    require_parts(config, config_file, 'tested')
    for key in (*_UNUSED, 'val_evaluator'):
        config[key] = None
    config.work_dir = str(out / 'log')
    config.load_from, config.resume = checkpoint, False
    config.experiment_name = name.replace(' ', '_')  # MMEngine stores logs and scopes by name
    return VADRunner.from_cfg(config)


def without_sound(runner: VADRunner) -> int:
    """Number of test clips without sound, if the data set has this information."""
    dataset = runner.test_dataloader.dataset
    return sum(dataset.get_data_info(i).get('has_audio') is False for i in range(len(dataset)))


def draw(
    name: str,
    found: dict[str, dict[str, HeadPredictions]],
    rows: Sequence[AblationRow],
    subsets: dict[str, dict[str, list[str]]],
    out: Path,
) -> None:
    """Draw the bars of one method: heads and subsets, and the classes of each head."""
    from vadlab.apis.modality_ablation import class_recall
    from vadlab.visualization.figures.class_bars import plot_grouped_bars

    groups = [f'{row.head}, {row.subset} ({row.clips})' for row in rows]
    values = {given: [row.top1[given] for row in rows] for given in found}
    stem = name.replace(' ', '_')
    plot_grouped_bars(groups, values, out / f'{stem}.png', f'{name}: top-1 (clips)')
    for head in next(iter(found.values())):
        tables = {given: of_heads[head] for given, of_heads in found.items()}
        table = next(iter(tables.values()))
        there = np.flatnonzero(table.labels.any(axis=0))
        chosen = {label for classes in subsets.values() for label in classes.get(head, ())}
        plot_grouped_bars(
            [f'{table.classes[k]} ({table.labels[:, k].sum()})' for k in there],
            {given: class_recall(of_head)[there] for given, of_head in tables.items()},
            out / f'{stem}_{head}.png',
            f'{name}, {head}: share of each class recognised (clips)',
            marked=[place for place, k in enumerate(there) if table.classes[k] in chosen],
        )


if __name__ == '__main__':
    run_cli(main)
