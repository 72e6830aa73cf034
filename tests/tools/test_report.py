import json
import re

import pytest

from vadlab.utils.errors import ConfigError


def data_of(page):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text('utf-8'), re.DOTALL)
    return json.loads(found[1])


def test_test_set_becomes_a_report_with_boxes_truth_and_metrics(train, test, tiny_file, tmp_path, capsys):
    train([str(tiny_file), '--work-dir', str(tmp_path / 'w'), '--cfg-options', 'tensorboard=False'])
    checkpoint = next((tmp_path / 'w').glob('epoch_*.pth'))
    report, out = tmp_path / 'report', tmp_path / 'm.json'
    options = ['--work-dir', str(tmp_path / 't'), '--out', str(out), '--report', str(report)]
    assert test([str(tiny_file), str(checkpoint), *options]) == 0
    assert f'report: {report / "index.html"}' in capsys.readouterr().out
    videos = data_of(report / 'index.html')['videos']
    assert videos
    pages = [data_of(report / video['page']) for video in videos]
    assert all((report / 'pages' / page['video']['src']).is_file() for page in pages)
    assert any(page['boxes'] for page in pages)
    assert any('Normal' in video['labels'] for video in videos) or any(video['labels'] for video in videos)
    assert any(page['truth'] for page in pages)
    assert all(page['frames'] == 24 for page in pages)
    text = (report / 'index.html').read_text('utf-8')
    for name, value in json.loads(out.read_text())['metrics'].items():
        if value is not None:
            assert f'{name} {value:.4f}' in text


def test_folder_of_somebody_else_is_refused_before_the_test(test, tiny_file, tmp_path):
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'a.txt').touch()
    checkpoint = tmp_path / 'a.pth'
    checkpoint.touch()
    with pytest.raises(ConfigError, match=r'--report .*mine: the folder holds other files \(first: a\.txt\)'):
        test([str(tiny_file), str(checkpoint), '--report', str(tmp_path / 'mine')])
