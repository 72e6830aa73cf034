"""Compare two feature sets and explain the differences: ``python tools/compare_features.py A B``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError
from vadlab.utils.json_file import write_json
from vadlab.utils.option_checks import FIGURES, require_at_least, require_file
from vadlab.utils.printable import say
from vadlab.utils.required_files import no_file_advice, require_config, require_paths
from vadlab.utils.runtime import format_table, quiet_third_parties

if TYPE_CHECKING:
    from vadlab.apis.features.comparison import Comparison, FeatureSet
    from vadlab.apis.features.explanation import Attempt


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Compare two sets of snippet features of the same videos: names, lengths, channels, order of the '
        'crops, scale, offset, cosine per snippet; and print the likely cause of the differences.'
    )
    parser.add_argument('a', metavar='A', help='a folder of .npy files, or one file')
    parser.add_argument('b', metavar='B', help='another')
    parser.add_argument(
        '--max-videos', type=int, default=50, help='number of videos whose features are compared (default: 50)'
    )
    parser.add_argument('--out', type=Path, help='also write a figure: .png, .svg or .pdf')
    parser.add_argument('--json', type=Path, help='also write all results to this file')
    parser.add_argument(
        '--explain', nargs='+', metavar=('CONFIG', 'VIDEOS'),
        help='extract features of these videos (files or folders) with a features config and with common mistakes, '
        'and print which variant is closest to B',
    )  # fmt: skip
    parser.add_argument('--device', default='cpu', help='device for --explain (default: cpu)')
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='change the config of --explain')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    quiet_third_parties()
    require_at_least(1, args, 'max_videos')
    require_file(args.out, '--out', *FIGURES)
    require_file(args.json, '--json')
    if args.explain is not None and len(args.explain) < 2:
        raise ConfigError('--explain takes a config and videos: --explain configs/features_clip_vit_b16.py Videos')
    require_paths([args.a, args.b], 'folder or file')
    if args.explain is not None:
        require_config(args.explain[0])
        require_paths(args.explain[1:], 'video', no_file_advice)

    from vadlab.apis.features.comparison import FeatureSet, compare_features

    first, second = FeatureSet.scan(args.a), FeatureSet.scan(args.b)
    result = compare_features(first, second, args.max_videos)
    show(result)
    steps = explain(args, second) if args.explain else []
    if args.out is not None and len(result.cosines):
        from vadlab.visualization.figures.feature_comparison import plot_feature_comparison

        plot_feature_comparison(result.cosines, result.chance, result.curves, args.out)
        say(f'figure: {args.out}')
    if args.json is not None:
        explained = [{'changed': s.changed, 'cosine': s.cosine, 'crop': s.crop} for s in steps]
        content = {
            'facts': result.facts,
            'findings': result.findings,
            'recipes': result.recipes or [],
            'explained': explained,
        }
        write_json(args.json, content)
    return 0


def show(result: Comparison) -> None:
    """Print the results as a table, and the findings below it."""
    from vadlab.apis.features.comparison import ROUNDING

    lowest = float(result.cosines.min()) if result.cosines.size else 1.0
    say(format_table(list(rows(result.facts)), ('what', 'A against B')))
    say()
    if result.is_same and lowest < ROUNDING:
        say(
            f'The sets are nearly the same (lowest cosine of a snippet {lowest:.4f}): a small difference of '
            'preprocessing, such as another resizer. --explain tries the known causes.'
        )
    elif result.is_same:
        say('The sets are the same, up to rounding.')
    if result.findings and result.recipes == []:
        say('The recipes of both sets are the same.')
    for number, finding in enumerate(result.findings, 1):
        say(f'{number}. {finding}')


def rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts as rows of a table."""

    def number(key: str) -> str:
        return f'{facts[key]:.4f}'

    table = []
    if 'videos' in facts:
        only = f'{len(facts["only_a"])} only in A, {len(facts["only_b"])} only in B'
        table.append(('videos', f'{facts["videos"]} in both, {only}'))
    for key, name in (('length_differences', 'snippets B - A'), ('crops', 'crops A:B'), ('dtypes', 'numbers A:B')):
        table.append((name, ', '.join(f'{value} ({count} videos)' for value, count in facts[key].items())))
    units = ''.join(f', {s.upper()} of length 1' for s in 'ab' if facts[f'unit_length_{s}'])
    table.append(('norm', f'{number("norm_a")} against {number("norm_b")}{units}'))
    if 'cosine_percentiles' in facts:
        spread = ', '.join(f'{value:.4f}' for value in facts['cosine_percentiles'].values())
        table.append(('cosine, 5 25 50 75 95 %', spread))
        table.append(('cosine by chance', number('cosine_chance')))
        table.append(('cosine without the mean', number('cosine_centred')))
        table.append(('CKA', number('linear_cka')))
        table.append(('largest difference', f'{facts["largest_difference"]:.4g}'))
    return table


def explain(args: argparse.Namespace, target: FeatureSet) -> list[Attempt]:
    """Search for the settings that B was made with."""
    from vadlab.apis.features.explanation import FeatureExplanation
    from vadlab.apis.features.video_list import find_videos
    from vadlab.utils.config import load_config, parse_cfg_options
    from vadlab.utils.setup_env import register_all_modules

    register_all_modules()
    config = load_config(args.explain[0], parse_cfg_options(args.cfg_options))
    if config.get('features') is None:
        raise ConfigError(f'{args.explain[0]} has no settings of features.')
    explanation = FeatureExplanation(config, target, find_videos(args.explain[1:]), args.device)
    say('\nVariants compared with B:')
    steps = explanation.run(lambda attempt: say(f'  {attempt.cosine:.5f}  {attempt.changed or "as the config says"}'))
    changes = '; '.join(explanation.changes(steps)) or 'as the config says'
    say(f'Best: {changes}: cosine {steps[-1].cosine:.5f} with crop {steps[-1].crop} of B')
    return steps


if __name__ == '__main__':
    run_cli(main)
