from vadlab.apis.imported_files import write_imported_files
from vadlab.datasets.formats.imported_annotations import ImportedAnnotations
from vadlab.datasets.formats.temporal_annotations import ClassInterval, TemporalAnnotation


def test_all_classes_are_listed_with_their_numbers_of_videos(tmp_path):
    """The config needs each class, also one that no video begins with."""
    several = [ClassInterval('Riot', 0, 5), ClassInterval('Fire', 3, 9), ClassInterval('Riot', 20, 25)]
    temporal = {
        'a.mp4': TemporalAnnotation.of('Riot', several),
        'b.mp4': TemporalAnnotation.of('Fire', several[1:2]),
        'c.mp4': TemporalAnnotation.of('Normal', []),
    }
    lines = write_imported_files(ImportedAnnotations(temporal=temporal), tmp_path / 'a.json', 'export.json')
    assert lines[1].endswith('classes: Riot (1), Fire (2), Normal (1)')
