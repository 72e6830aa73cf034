"""CVAT's format as Datumaro reads it, where Datumaro is installed (pip install datumaro)."""

import numpy as np
import pytest

from tests.visualization.report.results import result_of, write_video
from vadlab.apis.exports.box_tracks import box_tracks
from vadlab.apis.exports.cvat import cvat_of

UNEVEN = np.cumsum([0, *([0.04, 0.02, 0.1, 0.031] * 10)]).round(3)


def test_datumaro_reads_every_keyframe(tmp_path):
    """Boxes and events with their frames, at a variable frame rate."""
    pytest.importorskip('datumaro', reason='Datumaro is not installed')
    from datumaro.components.annotation import AnnotationType
    from datumaro.components.dataset import Dataset

    result = result_of('a.mp4', write_video(tmp_path / 'a.mp4', UNEVEN.tolist()), UNEVEN)
    (tmp_path / 'cvat').mkdir()
    (tmp_path / 'cvat' / 'annotations.xml').write_bytes(cvat_of(result))
    dataset = Dataset.import_from(str(tmp_path / 'cvat'), 'cvat')
    labels = [label.name for label in dataset.categories()[AnnotationType.label]]
    found = []
    for item in dataset:
        for box in item.annotations:
            corners = (box.x, box.y, box.x + box.w, box.y + box.h)
            found.append((labels[box.label], item.attributes['frame'], box.attributes['outside'], corners))
    expected = []
    for track in box_tracks(result):
        expected += [(track.label, frame, False, box) for frame, box in zip(track.frames, track.boxes, strict=True)]
        expected += [(track.label, track.end, True, track.boxes[-1])] if track.end < len(UNEVEN) else []
    for event in result.events:
        ends = [event.start, event.end]
        expected += [('event: anomaly', frame, frame == event.end, (0, 0, 128, 96)) for frame in ends]
    assert sorted(row[:3] for row in found) == sorted(row[:3] for row in expected)
    places = [np.array([row[3] for row in sorted(rows, key=lambda row: row[:3])]) for rows in (found, expected)]
    assert np.abs(places[0] - places[1]).max() < 0.01
