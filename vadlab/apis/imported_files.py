"""Writing annotations that were imported from another tool."""

import json
from collections import Counter
from pathlib import Path

from vadlab.datasets.formats.imported_annotations import ImportedAnnotations
from vadlab.datasets.formats.region_annotations import RecordParser
from vadlab.utils.atomic import write_text
from vadlab.utils.option_checks import require_file


def check_imported_files(out: Path, overwrite: bool) -> Path:
    """Check that no file would be replaced; return the path of the temporal annotation.

    Raises:
        ConfigError: A file exists.
    """
    temporal_out = out.with_name(f'{out.stem}_temporal.txt')
    for path in (out, temporal_out):
        require_file(path, '--out', overwrite=overwrite)
    return temporal_out


def write_imported_files(export: ImportedAnnotations, out: Path, source: str) -> list[str]:
    """Write records, and a temporal annotation if there is one, beside them.

    Args:
        export (ImportedAnnotations): Content of the other tool's export.
        out (Path): File of the records; the temporal annotation of ``train.json`` is ``train_temporal.txt``.
        source (str): The export, for messages.

    Returns:
        list[str]: Summary lines: written files, and contents that were not read.

    Raises:
        DataError: The records cannot be read.
    """
    temporal_out = out.with_name(f'{out.stem}_temporal.txt')
    parser = RecordParser()
    parser.parse([(f'record {i}', record) for i, record in enumerate(export.records)], source)
    write_text(out, json.dumps(export.records, ensure_ascii=False, indent=1) + '\n')
    counts = export.counts
    lines = [f'{out}: {counts.pop("videos", 0)} videos, {counts.pop("regions", 0)} regions']
    spans = counts.pop('spans of time', 0)
    if export.temporal:
        write_text(temporal_out, export.temporal_lines())
        classes = Counter(
            name
            for annotation in export.temporal.values()
            for name in dict.fromkeys(span.class_name for span in annotation.class_intervals) or [annotation.class_name]
        )
        listed = ', '.join(f'{name} ({count})' for name, count in classes.items())
        lines += [
            f'{temporal_out}: {len(export.temporal)} videos, {spans} spans of time; classes: {listed}',
            f'  read it by train_temporal_ann_file={temporal_out.name} (of other splits: val_temporal_ann_file, '
            'temporal_ann_file), with these names among the classes of the config',
        ]
    else:
        temporal_out.unlink(missing_ok=True)  # file of an earlier export
    lines += [f'  {count} {what}' for what, count in counts.items() if count]
    if fixed := parser.summary():
        lines.append(f'  when read: {fixed}')
    return lines
