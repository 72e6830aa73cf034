"""tools/browse_dataset.py and tools/import_label_studio.py."""

import json
import re
from pathlib import Path

import pytest

from vadlab.datasets.ucf_crime_regions import UCFCrimeRegions
from vadlab.utils.errors import ConfigError, DataError

from .tiny_ucf import record, write_video


@pytest.fixture
def data(tmp_path):
    for name in ('Abuse001', 'Arson002'):
        write_video(tmp_path / 'videos' / f'{name}.mp4')
    records = [record('Abuse001', 'a fight', True), record('Arson002', 'a fire', True)]
    (tmp_path / 'train.json').write_text(json.dumps(records))
    return tmp_path


def test_browse_draws_samples_of_a_config(load_tool, data, capsys):
    main = load_tool('browse_dataset').main
    options = [f'data_root={data}', 'ann_file=train.json', 'num_frames=4', 'image_size=32', 'pretrained=None']
    config = str(load_tool('browse_dataset').__file__).replace('tools/browse_dataset.py', 'configs/fgclip_ucf_debug.py')
    assert main([config, '--out', str(data / 'pictures'), '--num', '1', '--cfg-options', *options]) == 0
    assert [path.name for path in (data / 'pictures').iterdir()] == ['Abuse001.png']
    assert '1 of 2 train samples drawn' in capsys.readouterr().out
    with pytest.raises(ConfigError, match='must be at least 1'):
        main([config, '--out', 'x', '--num', '0'])


def test_import_label_studio_rescales_and_refuses_to_overwrite(load_tool, data, capsys):
    main = load_tool('import_label_studio').main
    sequence = [dict(frame=1, enabled=True, x=-5, y=10, width=50, height=50, rotation=0)]
    box = dict(id='a', type='videorectangle', value=dict(framesCount=48, sequence=sequence, labels=['Person']))
    task = dict(id=1, data=dict(video='Abuse001.mp4'), annotations=[dict(id=1, result=[box])])
    (data / 'export.json').write_text(json.dumps([task]))
    arguments = [str(data / 'export.json'), '--out', str(data / 'out.json'), '--data-root', str(data)]
    assert main([*arguments, '--default-caption', 'a scene']) == 0
    printed = capsys.readouterr().out
    assert '1 videos, 1 regions' in printed
    assert '1 tracks rescaled to the true number of frames' in printed
    assert '1 boxes clipped' in printed
    [written] = json.loads((data / 'out.json').read_text())
    assert written['bbox_info'][0]['end_frame'] == 23
    with pytest.raises(ConfigError, match='exists. Name another file'):
        main(arguments)


def test_import_label_studio_keeps_an_annotated_fight_anomalous(load_tool, data, capsys):
    main = load_tool('import_label_studio').main
    (data / 'videos/Abuse001.mp4').rename(data / 'videos/gate.mp4')
    span = dict(id='q', type='timelinelabels', value=dict(ranges=[dict(start=10, end=20)], timelinelabels=['fight']))
    other = dict(id='m', type='brushlabels', value={})
    task = dict(
        id=1, data=dict(video='/data/upload/1/0a1b2c3d-gate.mp4'), annotations=[dict(id=1, result=[span, other])]
    )
    (data / 'export.json').write_text(json.dumps([task]))
    arguments = [str(data / 'export.json'), '--out', str(data / 'out.json'), '--default-caption', 'two people']
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert '1 videos, 1 spans of time; classes: fight (1)' in printed
    assert '1 results of type brushlabels were not read' in printed
    options = dict(temporal_ann_file='out_temporal.txt', classes=('Normal', 'Fight'))
    info = UCFCrimeRegions('out.json', str(data), **options).get_data_info(0)
    assert (info['label'], info['intervals'].tolist()) == (1, [[9, 20]])
    with pytest.raises(DataError, match="gate: 'fight'"):
        UCFCrimeRegions('out.json', str(data), temporal_ann_file='out_temporal.txt', classes=('Normal', 'Riot'))


def test_tools_print_by_say():
    """So that names of files and captions reach no terminal as they are."""
    for path in Path(__file__).parents[2].joinpath('tools').glob('*.py'):
        text = path.read_text(encoding='utf-8')
        if 'run_cli' in text and path.name not in ('benchmark.py', 'zoo.py'):
            assert not re.search(r'(?<![\w.])print\(', text), path
