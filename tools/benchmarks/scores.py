"""``tools/eval_scores.py`` on many videos, compared with scikit-learn on the scores of all frames at once."""

import contextlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .harness import Entry, Report, compete, limit, resident_bytes
from .metrics import SNIPPET_LEN, VIDEO_FRAMES

REFERENCE = 'scikit-learn'
OURS = 'eval_scores'
MOST_GIB = 8  # for 10^9 frames


def make_score_files(folder: Path, frames: int, unit: str) -> Path:
    """Scores, annotation and frame counts of videos like those of UCF-Crime's test set, made at first use.

    Half of the videos have one anomalous interval, where scores are higher.

    Args:
        folder: Where the files are written.
        frames: Number of frames of all videos, about.
        unit: ``snippet`` or ``frame``: unit of the scores.

    Returns:
        Path: The folder with ``scores.npz``, ``annotation.txt`` and ``frames.json``.
    """
    out = folder / f'scores_{unit}_{frames}'
    if (out / 'frames.json').is_file():
        return out
    out.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    counts: dict[str, int] = {}
    lines = []
    with zipfile.ZipFile(out / 'scores.npz', 'w', zipfile.ZIP_STORED) as archive:
        for number in range(max(2, round(frames / VIDEO_FRAMES))):
            snippets = int(generator.integers(40, 2 * VIDEO_FRAMES // SNIPPET_LEN - 40))
            each = SNIPPET_LEN if unit == 'frame' else 1
            scores = generator.standard_normal(snippets * each, np.float32)
            name = f'{"Arson" if number % 2 else "Normal"}{number:07d}_x264'
            start = end = -1
            if number % 2:
                start, end = (int(snippet) * SNIPPET_LEN for snippet in np.sort(generator.integers(0, snippets, 2)))
                end += SNIPPET_LEN
                scores[start // SNIPPET_LEN * each : end // SNIPPET_LEN * each] += 1
            file = io.BytesIO()
            np.save(file, 1 / (1 + np.exp(-scores)))
            archive.writestr(f'{name}.npy', file.getvalue())
            counts[name] = snippets * SNIPPET_LEN
            lines.append(f'{name}.mp4  {"Arson" if number % 2 else "Normal"}  {start}  {end}  -1  -1\n')
    (out / 'annotation.txt').write_text(''.join(lines))
    (out / 'frames.json').write_text(json.dumps(counts))
    return out


class ScoresJob:
    """Evaluate all videos.

    Args:
        kind: ``reference`` or ``ours``.
        folder: From :func:`make_score_files`.
    """

    def __init__(self, kind: str, folder: str) -> None:
        self.kind = kind
        self.folder = Path(folder)
        if kind == 'reference':
            import sklearn.metrics  # noqa: F401
        else:
            import eval_scores  # noqa: F401
        self.baseline_bytes = resident_bytes()

    def run(self) -> dict[str, Any]:
        """AUC and AP of all frames; of ours also all other numbers."""
        return self._reference() if self.kind == 'reference' else self._ours()

    def _reference(self) -> dict[str, Any]:
        from sklearn.metrics import average_precision_score, roc_auc_score

        counts = json.loads((self.folder / 'frames.json').read_text())
        intervals = {}
        for line in (self.folder / 'annotation.txt').read_text().splitlines():
            file, _, first, last, *_ = line.split()
            intervals[file.removesuffix('.mp4')] = int(first), int(last)
        scores, labels = [], []
        with np.load(self.folder / 'scores.npz') as archive:
            for name, frames in counts.items():
                array = archive[name]
                scores.append(np.repeat(array, frames // len(array)))
                start, end = intervals[name]
                labels.append((np.arange(frames) >= start) & (np.arange(frames) < end))
        every, truth = np.concatenate(scores), np.concatenate(labels)
        return dict(auc=float(roc_auc_score(truth, every)), ap=float(average_precision_score(truth, every)))

    def _ours(self) -> dict[str, Any]:
        from eval_scores import main

        pred, ann, frames, out = (
            str(self.folder / name) for name in ('scores.npz', 'annotation.txt', 'frames.json', 'metrics.json')
        )
        with contextlib.redirect_stdout(io.StringIO()):
            main(['--pred', pred, '--ann', ann, '--frames', frames, '--protocol', 'ucf-crime', '--out', out])
        metrics = json.loads(Path(out).read_text())['metrics']
        return dict(auc=metrics['frame/auc'], ap=metrics['frame/ap'], metrics=metrics)

    def finish(self) -> dict[str, Any]:
        """The peak with interpreter and libraries."""
        return dict(peak_rss_mib=resident_bytes(peak=True) / 2**20)


def run(cache_dir: Path, runs: int = 3, compared: int = 20_000_000, alone: int = 100_000_000) -> Report:
    """Measure the tool.

    Args:
        cache_dir: Folder for the score files.
        runs: Runs per comparison.
        compared: Frames that scikit-learn ranks, too.
        alone: Frames that only the tool ranks, in one run; at 10^9 the peak has a target.
    """
    report = Report()
    for unit in ('snippet', 'frame'):
        for frames in dict.fromkeys((compared, alone)):
            folder = str(make_score_files(cache_dir, frames, unit))
            kinds = [(REFERENCE, 'reference'), (OURS, 'ours')] if frames == compared else [(OURS, 'ours')]
            entries = [
                Entry(name, 'scores:ScoresJob', dict(kind=kind, folder=folder), frames / 1e6, 1, timeout_s=7200)
                for name, kind in kinds
            ]
            found: dict[str, dict[str, Any]] = {}
            rows = compete(
                'scores',
                f'{frames:,} frames, scores of {unit}s',
                entries,
                runs if frames == compared else 1,
                REFERENCE if frames == compared else None,
                'M frames',
                warm_up=int(frames == compared),
                on_first=found.__setitem__,
            )
            report.rows += rows
            if frames == compared:
                for key in ('auc', 'ap'):
                    if not all(abs(values[key] - found[REFERENCE][key]) <= 1e-12 for values in found.values()):
                        report.errors.append(f'scores: {key} of {unit}s differs: {found}')
            elif frames >= 10**9:
                peak = rows[0].details.get('peak_rss_mib')
                report.targets.append(
                    limit(f'peak GiB, {frames:,} frames, {unit}s', MOST_GIB, peak and round(peak / 1024, 2))
                )
    return report
