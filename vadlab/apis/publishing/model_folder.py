"""The folder that ``vadlab push`` uploads: weights, config, metrics, card and a manifest with checksums."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vadlab import __version__
from vadlab.checkpoints.checkpoint_io import read_checkpoint
from vadlab.checkpoints.published_weights import write_published
from vadlab.checkpoints.saved_config import read_saved_config
from vadlab.checkpoints.weights_hash import weights_sha256
from vadlab.evaluation.calibration import calibration_path
from vadlab.utils.atomic import write_text
from vadlab.utils.config import load_config, runner_config
from vadlab.utils.errors import CheckpointError, DataError, HubError
from vadlab.utils.hub_files import (
    CALIBRATION,
    CONFIG,
    FORMAT,
    MANIFEST,
    METRICS,
    WEIGHTS,
    check_digest,
    digest_of,
    read_hub_manifest,
)
from vadlab.utils.json_file import read_json, write_json
from vadlab.utils.option_checks import require_new_folder
from vadlab.utils.plain_config import read_plain_config
from vadlab.utils.setup_env import register_all_modules

from .model_card import CardFacts, model_card
from .published_config import check_has_model, published_config
from .published_metrics import published_metrics

CARD = 'README.md'


@dataclass(frozen=True)
class Reports:
    """Files of ``tools/test.py --out``: of the weights, of other seeds, of the blanked control."""

    own: str | None = None
    seeds: Sequence[str] = ()
    blanked: str | None = None


def write_model_folder(
    checkpoint: str | Path,
    out: Path,
    facts: CardFacts,
    config: str | None = None,
    options: Mapping[str, Any] | None = None,
    reports: Reports | None = None,
    tell: Callable[[str], None] = print,
) -> list[str]:
    """Write the files of a model, then read them as a stranger's VADLab will.

    Args:
        checkpoint (str | Path): A checkpoint of VADLab.
        out (Path): An empty folder, or one that does not exist.
        facts (CardFacts): What the card tells; ``files`` and ``meta`` are set here.
        config (str | None): The config, if the checkpoint has none.
        options (Mapping[str, Any] | None): Changes of the config.
        reports (Reports | None): Metrics.
        tell (Callable): Called with warnings.

    Returns:
        list[str]: The names of the files.

    Raises:
        CheckpointError: The checkpoint cannot be read or stored without pickles.
        ConfigError: The folder has files, or a setting cannot be published.
        DataError: The metrics do not belong to the weights.
    """
    require_new_folder(out, '--out')
    content = read_checkpoint(checkpoint)
    meta = content.get('meta') or {}
    register_all_modules()
    published = published_config(*_settings(config, meta, options, str(checkpoint)))
    plain = published.content
    weights = weights_sha256(content['state_dict'])
    reports = reports or Reports()
    metrics = published_metrics(weights, reports.own, reports.seeds, reports.blanked)
    if metrics is None:
        tell(
            'warning: no metrics. The card says so. Give them by --metrics FILE, from: python tools/test.py CONFIG '
            'CHECKPOINT --out FILE'
        )

    out.mkdir(parents=True, exist_ok=True)
    write_published({**content, 'meta': _public_meta(meta)}, out / WEIGHTS)
    write_json(out / CONFIG, plain)
    for name, path in published.files.items():
        (out / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(path, out / name)
    if published.missing:
        tell(
            f'warning: the model reads {len(published.missing)} files or folders that are not published (first: '
            f'{published.missing[0]}). Tell by --notes where to get them.'
        )
    if metrics is not None:
        write_json(out / METRICS, metrics)
    calibration = calibration_path(checkpoint, config or '')
    if calibration.is_file():
        shutil.copyfile(calibration, out / CALIBRATION)
    facts.files = {
        name: {'sha256': digest_of(out / name), 'bytes': (out / name).stat().st_size}
        for name in (WEIGHTS, CONFIG, METRICS, CALIBRATION, *published.files)
        if (out / name).exists()
    }
    facts.meta = _public_meta(meta)
    write_text(out / CARD, model_card(facts, plain, metrics))
    about = {'format': FORMAT, 'vadlab': __version__, 'model': plain['settings']['model']['type'], 'weights': weights}
    write_json(out / MANIFEST, {**about, 'files': facts.files})
    check_model_folder(out)
    return [*facts.files, CARD, MANIFEST]


def check_model_folder(folder: Path) -> list[str]:
    """Read a folder as the loader does; returns the names of its files.

    Raises:
        HubError: The manifest is damaged, or a file differs from it.
        CheckpointError, ConfigError: The weights or the config cannot be read.
    """
    if not (folder / MANIFEST).is_file():
        raise HubError(f'{folder} has no {MANIFEST}: vadlab push CHECKPOINT USER/NAME --out {folder} writes one.')
    files = read_hub_manifest(folder / MANIFEST, str(folder / MANIFEST))
    for name, about in files.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise HubError(f'{path}: {MANIFEST} lists it, and it is not a regular file.')
        check_digest(path, about['sha256'], f'{folder / MANIFEST}', str(path))
    read_plain_config(folder / CONFIG)
    found = weights_sha256(read_checkpoint(folder / WEIGHTS)['state_dict'])
    wanted = _weights_of(folder / MANIFEST)
    if wanted is not None and found != wanted:
        raise CheckpointError(f'{folder / WEIGHTS} does not hold the weights that {MANIFEST} names.')
    return [*files, *([CARD] if (folder / CARD).is_file() else []), MANIFEST]


def _weights_of(manifest: Path) -> str | None:
    return read_json(manifest).get('weights')


def _settings(
    config: str | None, meta: Mapping[str, Any], options: Mapping[str, Any] | None, name: str
) -> tuple[dict[str, Any], Mapping[str, Any] | None]:
    """The flattened config, and the changes that remain to be made in it."""
    if config is not None:
        settings = runner_config(load_config(config, options))._cfg_dict.to_dict()
        check_has_model(settings, config)
        return settings, None
    if 'cfg' not in meta:
        raise DataError(f'{name} holds no config, as files of weights alone do. Name it: --config CONFIG')
    settings = read_saved_config(meta['cfg'], name)
    check_has_model(settings, name)
    return settings, options


def _public_meta(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Notes of a checkpoint with file names instead of absolute paths."""

    def public(value: Any) -> Any:
        if isinstance(value, str):
            return Path(value).name if os.path.isabs(value) else value
        if isinstance(value, Mapping):
            return {key: public(one) for key, one in value.items()}
        return type(value)(map(public, value)) if isinstance(value, list | tuple) else value

    return {key: public(value) for key, value in meta.items() if key != 'cfg'}
