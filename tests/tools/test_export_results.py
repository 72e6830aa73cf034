import json
import sys

import numpy as np
import pytest

from tests.visualization.report.results import result_of, write_video
from vadlab.structures.video_result import VideoResult
from vadlab.utils.errors import DataError, MissingDependencyError, MissingFileError

TIMES = np.arange(20) / 20


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp('results')
    source = write_video(folder / 'videos' / 'a.mp4', TIMES.tolist())
    result_of('cam/a.mp4', source, TIMES).save(folder / 'out')
    VideoResult.failed('b.mp4', 'b.mp4', 'damaged').save(folder / 'out')
    return folder / 'out'


def test_each_format_is_written_and_failed_videos_are_counted(load_tool, results, tmp_path, capsys):
    main = load_tool('export_results').main
    for kind, files in {
        'webvtt': ['cam/a.mp4.vtt'],
        'csv': ['events.csv'],
        'cvat': ['cam/a.mp4.xml'],
        'label-studio': ['labeling_config.xml', 'tasks.json', 'videos'],
    }.items():
        out = tmp_path / kind
        assert main([str(results), '--to', kind, '--out', str(out)]) == 0
        shown = capsys.readouterr()
        assert '1 videos (first: b.mp4)' in shown.err
        written = sorted(path.relative_to(out).as_posix() for path in out.rglob('*'))
        assert set(files) <= set(written)
    assert main([str(results / 'cam' / 'a.mp4.json'), '--to', 'csv', '--out', str(tmp_path / 'one.csv')]) == 0
    assert capsys.readouterr().out == f'{tmp_path / "one.csv"}: 2 events\n'


def test_what_cvat_exports_is_imported_again(load_tool, results, tmp_path, capsys):
    load_tool('export_results').main([str(results), '--to', 'cvat', '--out', str(tmp_path / 'c')])
    main = load_tool('import_cvat').main
    arguments = [str(tmp_path / 'c' / 'cam' / 'a.mp4.xml'), '--out', str(tmp_path / 'train.json')]
    assert main([*arguments, '--default-caption', 'a street']) == 0
    assert '1 videos, 1 regions' in capsys.readouterr().out
    (record,) = json.loads((tmp_path / 'train.json').read_text('utf-8'))
    assert (record['f_path'], record['global_caption']) == ('cam/a.mp4', 'a street')
    events = VideoResult.load(results / 'cam' / 'a.mp4.json').events
    spans = '  '.join(f'anomaly  {event.start}  {event.end}' for event in events)
    assert (tmp_path / 'train_temporal.txt').read_text('utf-8') == f'cam/a.mp4  {spans}\n'


def test_a_folder_without_results_is_an_error(load_tool, tmp_path):
    with pytest.raises(DataError, match='holds no results'):
        load_tool('export_results').main([str(tmp_path), '--to', 'csv', '--out', str(tmp_path / 'o')])


@pytest.mark.parametrize('kind', ['label-studio', 'fiftyone'])
def test_missing_videos_are_found_before_anything_is_written(load_tool, results, tmp_path, kind):
    for name in ('a', 'b', 'c'):
        result = VideoResult.load(results / 'cam' / 'a.mp4.json')
        result.name = f'{name}.mp4'
        result.path = result.path if name == 'a' else str(tmp_path / f'{name}.mp4')
        result.save(tmp_path / 'out')
    with pytest.raises(MissingFileError, match=r'2 videos are no longer where they were scored \(first: .*b\.mp4\)'):
        load_tool('export_results').main([str(tmp_path / 'out'), '--to', kind, '--out', str(tmp_path / 'x')])
    assert not (tmp_path / 'x').exists()


def test_missing_fiftyone_is_named_with_its_command(load_tool, results, monkeypatch):
    monkeypatch.setitem(sys.modules, 'fiftyone', None)
    with pytest.raises(MissingDependencyError, match=r'pip install "vadlab\[fiftyone\]"'):
        load_tool('export_results').main([str(results), '--to', 'fiftyone', '--out', 'demo'])
