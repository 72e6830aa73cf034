"""Start of a data set of many feature files: with the index of their shapes, compared with opening every file."""

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from .harness import Entry, Report, compete, limit, resident_bytes

REFERENCE = 'every file opened'
OURS = 'with the index'


def make_feature_files(folder: Path, count: int) -> Path:
    """A list of small feature files in folders of 2000, made at first use.

    Returns:
        Path: The folder with ``list.txt`` and ``features``.
    """
    out = folder / f'features_{count}'
    if (out / 'list.txt').is_file():
        return out
    contents = []
    for snippets in range(2, 6):
        file = io.BytesIO()
        np.save(file, np.zeros((snippets, 4), np.float16))
        contents.append(file.getvalue())
    names = []
    for number in range(count):
        kind, name = (
            ('Arson', f'Arson{number:07d}_x264')
            if number % 2
            else ('Training_Normal_Videos_Anomaly', f'Normal_Videos{number:07d}_x264')
        )
        path = out / 'features' / kind / f'{number // 2000:04d}' / f'{name}.npy'
        if number % 2000 < 2:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[number % 4])
        names.append(f'{path.relative_to(out / "features").as_posix()}\n')
    (out / 'list.txt').write_text(''.join(names))
    return out


class StartJob:
    """Read the list of a data set.

    Args:
        kind: ``reference``: without an index; ``ours``: with it, made in the first run.
        folder: From :func:`make_feature_files`.
    """

    def __init__(self, kind: str, folder: str) -> None:
        import logging

        from vadlab.datasets import snippet_features
        from vadlab.datasets.formats import shape_index

        logging.disable(logging.INFO)
        self.folder = folder
        self.dataset = snippet_features.SnippetFeatures
        shape_index.FEWEST_FILES = 10**9 if kind == 'reference' else 0
        self.baseline_bytes = resident_bytes()

    def run(self) -> dict[str, Any]:
        """Build the data set; return what it holds, for comparison."""
        dataset = self.dataset('list.txt', self.folder, 'features')
        first, last = dataset.get_data_info(0), dataset.get_data_info(len(dataset) - 1)
        return dict(videos=len(dataset), ends=[first['num_snippets'], last['video_id'], last['num_snippets']])


def run(cache_dir: Path, runs: int = 3, count: int = 200_000) -> Report:
    """Measure starts with the index and without it.

    Args:
        cache_dir: Folder for the files.
        runs: Runs per comparison.
        count: Number of files; 200,000 need 0.8 GB in blocks of 4 KB and are removed afterwards.
    """
    report = Report()
    folder = make_feature_files(cache_dir, count)
    entries = [
        Entry(name, 'features_start:StartJob', dict(kind=kind, folder=str(folder)), count / 1000, 1)
        for name, kind in ((REFERENCE, 'reference'), (OURS, 'ours'))
    ]
    found: dict[str, dict[str, Any]] = {}
    rows = compete(
        'starts',
        f'{count:,} feature files',
        entries,
        runs,
        REFERENCE,
        'thousand files',
        on_first=found.__setitem__,
    )
    report.rows += rows
    if len({str(values) for values in found.values()}) != 1:
        report.errors.append(f'starts: the data sets differ: {found}')
    if count >= 100_000:
        ratio = rows[1].cpu_ratio
        report.targets.append(
            limit('CPU time of a start, relative to one without index', 0.85, ratio.median if ratio else None)
        )
    shutil.rmtree(folder)
    return report
