import json

import numpy as np
import pytest

from vadlab.utils.errors import DataError, MissingFileError

NORMAL = 'Training_Normal_Videos_Anomaly/Normal_Videos_001_x264'


@pytest.fixture(scope='module')
def main(load_tool):
    return load_tool('make_demo_features').main


@pytest.fixture
def demo(tiny, tmp_path):
    """What tools/make_demo_data.py makes, smaller."""
    root = tmp_path / 'demo'
    for split, names in (('train', [NORMAL, 'Arson/Arson001_x264']), ('test', ['Arson/Arson002_x264'])):
        records = []
        for name in names:
            tiny.write_video(root / 'Videos' / f'{name}.mp4', 40, seed=len(name))
            records.append({'f_path': f'Videos/{name}.mp4', 'global_caption': '', 'bbox_info': []})
        (root / f'{split}.json').write_text(json.dumps(records))
    (root / 'Temporal_Anomaly_Annotation.txt').write_text('Arson002_x264  Arson  10  20  -1  -1  \n')
    return root


def test_layout(main, demo, tmp_path, capsys):
    out = tmp_path / 'set'
    command = ['--data', str(demo), '--out', str(out)]
    assert main(command) == 0
    assert (out / 'train.txt').read_text().splitlines() == [f'{NORMAL}__0.npy', 'Arson/Arson001_x264__0.npy']
    assert (out / 'test.txt').read_text() == 'Arson/Arson002_x264__0.npy\n'
    assert json.loads((out / 'frames.json').read_text())['Arson002_x264'] == 40
    assert (out / 'Temporal_Anomaly_Annotation.txt').read_text().startswith('Arson002_x264')
    feats, blank = (np.load(out / kind / f'{NORMAL}__0.npy') for kind in ('features', 'blank'))
    assert feats.shape == blank.shape == (2, 64)
    assert (blank[0] == blank[1]).all()
    assert not (feats[0] == feats[1]).all()
    capsys.readouterr()
    assert main(command) == 0
    assert '0 videos in' in capsys.readouterr().out
    assert main([*command, '--cfg-options', 'frames=first']) == 0  # as after other weights were shipped
    said = capsys.readouterr().out
    assert 'extracted again, since the recipe has changed (frame_offsets' in said
    assert not (np.load(out / 'features' / f'{NORMAL}__0.npy') == feats).all()


def test_scores_of_its_test_videos_are_evaluated_with_its_frame_counts(main, load_tool, demo, tmp_path, capsys):
    out = tmp_path / 'set'
    assert main(['--data', str(demo), '--out', str(out)]) == 0
    (tmp_path / 'scores').mkdir()
    np.save(tmp_path / 'scores' / 'Arson002_x264.npy', (np.arange(40) // 10 == 1).astype(np.float32))
    ann, frames = str(out / 'Temporal_Anomaly_Annotation.txt'), str(out / 'frames.json')
    command = ['--pred', str(tmp_path / 'scores'), '--ann', ann, '--frames', frames, '--protocol', 'ucf-crime']
    capsys.readouterr()
    assert load_tool('eval_scores').main([*command, '--out', str(tmp_path / 'metrics.json')]) == 0
    assert '1 videos, 40 frames, 10 of them anomalous' in capsys.readouterr().out
    assert json.loads((tmp_path / 'metrics.json').read_text())['metrics']['frame/auc'] == 1


def test_mistakes(main, demo, tmp_path):
    with pytest.raises(MissingFileError, match='Make one with: python tools/make_demo_data.py'):
        main(['--data', str(tmp_path / 'gone'), '--out', str(tmp_path / 'set')])
    (demo / 'Videos' / 'Arson' / 'Arson002_x264.mp4').unlink()
    with pytest.raises(DataError, match='1 videos are annotated and not in'):
        main(['--data', str(demo), '--out', str(tmp_path / 'set')])
