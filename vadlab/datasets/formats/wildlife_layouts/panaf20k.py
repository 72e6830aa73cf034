import os
from pathlib import Path

from vadlab.datasets.problem_list import ProblemList
from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.json_file import read_json, shape_fault
from vadlab.utils.natural_order import natural_sorted
from vadlab.utils.run_log import log

from ..av_clip_metadata import AVClipRecord
from .layout_files import joined, read_table

_SPLITS = {'train': 'train', 'validation': 'val', 'val': 'val', 'test': 'test'}
_VIDEO_COLUMNS = ('video', 'video_id', 'filename', 'file_name', 'file', 'path', 'name', 'subject_id')
_LABEL_COLUMNS = ('behaviours', 'behaviour', 'behaviors', 'behavior', 'labels', 'label')
_FRAMES = {'annotations': [{'detections': [{'species?': str, 'behaviour?': str}]}]}
_NO_LABEL = ('', 'none', 'no_action', 'nan')


def read_panaf20k(root: Path) -> list[AVClipRecord]:
    """Read PanAf20K: camera-trap videos of chimpanzees and gorillas.

    Brookes et al., "PanAf20K", IJCV 2024, arXiv:2401.13554, in two parts, distinguished by the content of the folder:

    *PanAf500*, every frame annotated. Folders and keys were checked against two public programs that read it. Neither
    reads ``species``, which is read here if it exists. The release (data.bris.ac.uk) was not at hand::

        annotations/{train,validation,test}/<video>.json
            {"annotations": [{"frame_id": 1, "detections": [{"ape_id", "bbox", "species", "behaviour"}, ...]}, ...]}
        videos/<video>.mp4

    A video's labels are all species and all behaviours in its frames.

    *PanAf20K*, labels of whole videos. The paper lists them (18 behaviours, several per video), but no public file or
    program shows the format of the release. So the reader accepts typical tables, and logs how it read them:
    ``{train,val,validation,test}.csv`` (or one CSV with a column ``split``), here or in ``annotations`` or
    ``metadata``; a column with the video's name; behaviours in one column (``behaviours``, ``labels``; separated by
    ``;`` or ``,``), or in one column of zeros and ones per behaviour; ``species``, if it exists.

    Args:
        root (Path): The folder of one of the parts.

    Returns:
        list[AVClipRecord]: Clips, with paths relative to ``root``.

    Raises:
        MissingFileError: There are annotations of neither part.
        DataError: A file cannot be read.
    """
    for folder in (root, root / 'PanAf500'):
        if any((folder / 'annotations' / split).is_dir() for split in _SPLITS):
            return _read_frames(root, folder)
    for folder in (root, root / 'annotations', root / 'metadata', root / 'PanAf20K'):
        tables = natural_sorted(folder.glob('*.csv')) if folder.is_dir() else []
        if tables:
            return _read_tables(root, tables)
    raise MissingFileError(
        f'{root} holds neither annotations/train/*.json (PanAf500) nor a CSV of labels (PanAf20K), here or in '
        'annotations, metadata'
    )


def _read_frames(root: Path, folder: Path) -> list[AVClipRecord]:
    problems, records = ProblemList('PanAf500'), []
    for name, split in _SPLITS.items():
        for file in natural_sorted((folder / 'annotations' / name).glob('*.json')):
            try:
                content = read_json(file)
            except DataError as error:
                problems.note('files cannot be read', str(error))
                continue
            if fault := shape_fault(content, _FRAMES):
                problems.note('files cannot be read', f'{file.name}: {fault}')
                continue
            detections = [detection for frame in content['annotations'] for detection in frame['detections']]
            species = [detection.get('species') or '' for detection in detections]
            behaviours = [detection.get('behaviour') or '' for detection in detections]
            records.append(
                AVClipRecord(
                    clip_id=file.stem,
                    video=(folder.relative_to(root) / 'videos' / f'{file.stem}.mp4').as_posix(),
                    split=split,
                    columns=dict(species=joined(species), behaviour=_behaviours(behaviours)),
                )
            )
    problems.raise_if_any(str(folder / 'annotations'), 'Are these the annotations of PanAf500?')
    return records


def _read_tables(root: Path, tables: list[Path]) -> list[AVClipRecord]:
    by_split = [path for path in tables if path.stem in _SPLITS]
    if not by_split and len(tables) > 1:
        raise DataError(
            f'{tables[0].parent} holds {len(tables)} tables, and none is called train, val or test: leave the one '
            'there that has a column split'
        )
    records = []
    for table in by_split or tables:
        rows = read_table(table, [] if by_split else ['split'])
        header = list(rows[0]) if rows else []
        video = next((name for name in _VIDEO_COLUMNS if name in header), None)
        if video is None:
            raise DataError(f'{table}: no column names the videos. Call it one of {", ".join(_VIDEO_COLUMNS)}')
        label = next((name for name in _LABEL_COLUMNS if name in header), None)
        flags = [name for name in header if rows and all(row[name] in ('0', '1', '0.0', '1.0') for row in rows)]
        if label is None and not flags:
            raise DataError(
                f'{table}: behaviours are neither in a column such as {_LABEL_COLUMNS[0]} nor in 0/1 columns'
            )
        shown_in = [label] if label else flags
        unread = [name for name in header if name not in (video, *shown_in, 'split', 'species')]
        log(
            f'PanAf20K: {table}: videos are in {video!r}, behaviours in {", ".join(shown_in)}; '
            f'columns not read: {", ".join(unread) or "none"}'
        )
        for row in rows:
            split = table.stem if by_split else row['split']
            if split not in _SPLITS:
                raise DataError(
                    f'{table}: {row[video]} has the split {split!r}; it must be one of {", ".join(_SPLITS)}'
                )
            name = row[video] if Path(row[video]).suffix else f'{row[video]}.mp4'
            shown = row[label].replace(',', ';').split(';') if label else [f for f in flags if row[f].startswith('1')]
            records.append(
                AVClipRecord(
                    clip_id=Path(name).stem,
                    video=name if os.path.exists(root / name) or not (root / 'videos').is_dir() else f'videos/{name}',
                    split=_SPLITS[split],
                    columns=dict(species=row.get('species', ''), behaviour=_behaviours(shown)),
                )
            )
    return records


def _behaviours(names: list[str]) -> str:
    return joined([name for name in names if name.strip().lower() not in _NO_LABEL])
