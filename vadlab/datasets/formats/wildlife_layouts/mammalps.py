import os
from dataclasses import replace
from pathlib import Path

from vadlab.datasets.problem_list import ProblemList
from vadlab.utils.errors import MissingFileError

from ..av_clip_metadata import SPLITS, AVClipRecord
from .layout_files import joined, read_table, unique_ids

_COLUMNS = ('video_path', 'start_s', 'end_s', 'activity', 'actions', 'species')


def read_mammalps(root: Path) -> list[AVClipRecord]:
    """Read MammAlps, benchmark I: single-animal clips with species, activity and actions.

    Gabeff et al., "MammAlps", CVPR 2025, arXiv:2503.18223. Layout of the release (Zenodo 15040901), relative to its
    ``mammalps_v1``::

        benchmark_1/metadata/{train,val,test}.csv     video_path,start_s,end_s,activity,actions,species
        benchmark_1/clips/<track>/<track>_c<view>.mp4     without sound; video_path is below clips
        benchmark_1/audios/<track>/<track>_c<view>.wav    the sound of each

    Classes and their spelling were checked against the authors' repository (``evaluation/labels_mapping_b1.json``,
    ``evaluation/eval_b1.py`` of github.com/eceo-epfl/MammAlps). Columns, folders and the missing sound of the mp4 files
    were checked against three independent public programs that read the release. The release itself (82 GiB) was not at
    hand. ``actions`` holds one or two, separated by ``;`` and filled up with ``none``.

    The activity becomes ``behaviour``, a single-label head; ``actions`` keeps its name and is a multi-label head. The
    test split keeps the order of its CSV, since the authors' evaluation uses row numbers as sample ids.

    Args:
        root (Path): ``mammalps_v1``, or ``benchmark_1`` in it.

    Returns:
        list[AVClipRecord]: Clips, with paths relative to ``root``.

    Raises:
        MissingFileError: The CSV of a split is missing.
        DataError: A CSV has not all columns.
    """
    inside = Path() if (root / 'metadata').is_dir() else Path('benchmark_1')
    if not (root / inside / 'metadata').is_dir():
        raise MissingFileError(f'{root} is not a MammAlps release: neither benchmark_1/metadata nor metadata is in it')
    problems, records = ProblemList('MammAlps'), []
    for split in SPLITS:
        table = root / inside / 'metadata' / f'{split}.csv'
        for row in read_table(table, _COLUMNS):
            video = Path(row['video_path'])
            if not video.name:
                problems.note('rows do not name a video', f'{table}: {row}')
                continue
            try:
                start, end = (float(row[name] or 0) or None for name in ('start_s', 'end_s'))
            except ValueError as error:
                problems.note('times are not numbers', f'{table}, {row["video_path"]}: {error}')
                continue
            audio = inside / 'audios' / video.with_suffix('.wav')
            actions = [name for name in row['actions'].replace(',', ';').split(';') if name.strip().lower() != 'none']
            records.append(
                AVClipRecord(
                    clip_id=video.stem,
                    video=(inside / 'clips' / video).as_posix(),
                    split=split,
                    start=start,
                    end=end,
                    audio=audio.as_posix() if os.path.isfile(root / audio) else '',
                    columns=dict(species=row['species'], behaviour=row['activity'], actions=joined(actions)),
                )
            )
    problems.raise_if_any(str(root / inside / 'metadata'), 'Is this the release?')
    ids = unique_ids([record.clip_id for record in records])
    return [replace(record, clip_id=clip_id) for record, clip_id in zip(records, ids, strict=True)]
