"""What a sweep leaves: a table, CSV, JSON, a figure, and the best settings as a config."""

import csv
import io
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from vadlab.utils.atomic import write_text
from vadlab.utils.cfg_options import parse_cfg_options
from vadlab.utils.config import load_config, runner_config
from vadlab.utils.errors import ConfigError
from vadlab.utils.json_file import write_json
from vadlab.utils.own_files import CONFIGS, config_file
from vadlab.visualization.figures.sweep_scores import plot_sweep_scores

from .search_space import Choice, Param
from .sweep import Sweep, TrialResult, best_of, short, shown, shown_score
from .validation import Aim

BEST_CONFIG = 'best.py'


def write_results(sweep: Sweep, name: str, caution: str = '') -> str:
    """Write ``trials.csv``, ``results.json``, ``scores.png`` and ``best.py`` to the folder of a sweep.

    Args:
        sweep (Sweep): A sweep with finished trials.
        name (str): The config as the user calls it.
        caution (str): A sentence about the choice, which is written beside the results.

    Returns:
        str: The table, the best setting and the commands that test it, for the terminal.
    """
    results, aim, folder = sweep.results(), sweep.aim, sweep.folder
    best = best_of(results, aim)
    write_text(folder / 'trials.csv', trials_csv(results, sweep.params, sweep.seeds))
    files = ['trials.csv', 'results.json']
    write_json(
        folder / 'results.json',
        {
            'config': name,
            'metric': aim.metric,
            'higher_is_better': aim.is_higher_better,
            'chosen_by': caution or 'validation',
            'seeds': sweep.seeds,
            'best': best.number if best else None,
            'trials': [
                {
                    'trial': one.number,
                    'state': one.state,
                    'settings': parse_cfg_options([f'{key}={text}' for key, text in one.settings.items()]),
                    'score': one.score,
                    'spread': one.spread,
                    'scores': one.scores,
                    'reason': one.reason or None,
                    'same_as': one.same_as,
                    'seconds': one.seconds,
                }
                for one in results
            ],
        },
    )
    lines = [trials_table(results, sweep.params, aim), '']
    if best is not None:
        _plot(sweep, results, best)
        files.append('scores.png')
        write_best_config(sweep, best, name, caution)
        files.append(BEST_CONFIG)
        lines += _about_best(sweep, results, best, caution)
    lines.append(f'{folder}: {", ".join(files)}')
    return '\n'.join(lines)


def trials_table(results: Sequence[TrialResult], params: Sequence[Param], aim: Aim) -> str:
    """A text table, best trials first, then those without a score."""
    from vadlab.utils.runtime import format_table

    sign = -1 if aim.is_higher_better else 1
    ranked = sorted(results, key=lambda one: (one.score is None, sign * (one.score or 0.0), one.number))
    rows = []
    for one in ranked:
        if one.score is not None:
            score = shown_score(one) + (f' (as trial {one.same_as})' if one.same_as is not None else '')
        else:
            score = f'{one.state}: {one.reason}'
            score = score if len(score) <= 100 else f'{score[:97]}...'
        rows.append((str(one.number), *(short(one.settings[param.name]) for param in params), score))
    return format_table(rows, ('trial', *(param.name for param in params), f'{aim.metric} of validation'))


def trials_csv(results: Sequence[TrialResult], params: Sequence[Param], seeds: Sequence[int]) -> str:
    """All trials in their order, one per row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    names = [param.name for param in params]
    writer.writerow(['trial', 'state', *names, 'score', 'spread', *(f'seed{s}' for s in seeds), 'seconds', 'reason'])
    for one in results:
        scores = [one.scores.get(str(seed), '') for seed in seeds]
        score, spread = ('' if value is None else value for value in (one.score, one.spread))
        values = [one.settings[name] for name in names]
        writer.writerow([one.number, one.state, *values, score, spread, *scores, one.seconds, one.reason])
    return text.getvalue()


def _plot(sweep: Sweep, results: Sequence[TrialResult], best: TrialResult) -> None:
    done = [one for one in results if one.score is not None and one.same_as is None]
    axes: dict[str, list[Any]] = {}
    for param in sweep.params:
        texts = [one.settings[param.name] for one in done]
        axes[param.name] = texts if isinstance(param, Choice) else [float(text) for text in texts]
    plot_sweep_scores(
        axes,
        [list(one.scores.values()) for one in done],
        sweep.folder / 'scores.png',
        best=[one.number for one in done].index(best.number),
        measure=f'{sweep.aim.metric} of validation',
        logarithmic={param.name for param in sweep.params if not isinstance(param, Choice) and param.is_log},
    )


def _about_best(sweep: Sweep, results: Sequence[TrialResult], best: TrialResult, caution: str) -> list[str]:
    """The best setting, what is as good within the spread, and how to test it."""
    lines = [f'Best: trial {best.number}, {sweep.aim.metric} {shown_score(best)}: {shown(best.settings)}']
    if best.spread is not None and best.score is not None:
        near = [
            str(one.number)
            for one in results
            if one.number != best.number
            and one.same_as != best.number
            and one.score is not None
            and abs(one.score - best.score) <= best.spread
        ]
        if near:
            lines.append(f'Within one standard deviation of it: trial{"s" * (len(near) > 1)} {", ".join(near)}.')
    if caution:
        lines.append(f'Caution: {caution}')
    config = sweep.folder / BEST_CONFIG
    tests = [
        f'  python tools/test.py {shlex.quote(str(config))} {shlex.quote(str(checkpoint))} '
        f'--out {shlex.quote(str(sweep.folder / f"test_seed{run.seed}.json"))}'
        for run in sweep.runs(best.number, best.settings)
        if (checkpoint := run.best_checkpoint())
    ]
    if tests:
        lines += ['No test data was used so far. Test the best setting once:' if not caution else 'Test it:', *tests]
    return lines


def write_best_config(sweep: Sweep, best: TrialResult, name: str, caution: str = '') -> Path:
    """Write the settings of a trial as a config that builds on the swept one.

    If a setting cannot be written in such a file (an element of a list), the file has the whole config instead.
    """
    path = sweep.folder / BEST_CONFIG
    options = [*sweep.options, *(f'{key}={text}' for key, text in best.settings.items())]
    wanted = load_config(sweep.config, parse_cfg_options(options))
    hook = ((wanted.get('default_hooks') or {}).get('checkpoint')) or {}
    chosen = {'save_best': sweep.aim.metric, 'rule': sweep.aim.rule}
    if any(hook.get(key) != value for key, value in chosen.items()):
        options += [f'default_hooks.checkpoint.{key}={value}' for key, value in chosen.items()]
        wanted = load_config(sweep.config, parse_cfg_options(options))
    seeds = f' over the seeds {", ".join(map(str, sweep.seeds))}' if len(sweep.seeds) > 1 else ''
    head = (
        f'# Trial {best.number} of a sweep of {name}: {sweep.aim.metric} of validation {shown_score(best)}'
        f'{seeds}.\n' + (f'# Caution: {caution}\n' if caution else '')
    )
    body = _assignments(parse_cfg_options(options))
    if body is not None:
        write_text(path, f'{head}_base_ = [{_base_name(sweep.config, sweep.folder)!r}]\n{body}')
        try:
            if _plain(load_config(path)) == _plain(wanted):
                return path
        except ConfigError:
            pass
    write_text(path, f'{head}{runner_config(wanted).pretty_text}')
    return path


def _plain(config: Config) -> dict[str, Any]:
    return runner_config(config)._cfg_dict.to_dict()


def _base_name(config: str, folder: Path) -> str:
    path = Path(config_file(config)).resolve()
    if path.is_relative_to(CONFIGS.resolve()):
        return f'vadlab::{path.relative_to(CONFIGS.resolve()).as_posix()}'
    return Path(os.path.relpath(path, folder.resolve())).as_posix()


def _assignments(options: Mapping[str, Any]) -> str | None:
    """Options as statements of a config; None if one is inside a list."""
    nested: dict[str, Any] = {}
    for key, value in options.items():
        *parents, last = key.split('.')
        if any(part.isdecimal() for part in (*parents, last)):
            return None
        node = nested
        for part in parents:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                return None
        node[last] = value
    return ''.join(f'{name} = {value!r}\n' for name, value in nested.items())
