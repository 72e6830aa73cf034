import json

from vadlab.apis import Finding, VerificationReport


def test_findings_are_counted_told_and_written(tmp_path):
    heard = []
    report = VerificationReport(heard.append)
    report.passed('disk', '3 GiB free')
    assert report.is_ok
    report.warn('device', 'no GPU')
    assert report.is_ok
    report.fail('videos', '视频.mp4 is cut short')
    assert not report.is_ok
    assert heard[2] == Finding('failure', 'videos', '视频.mp4 is cut short')
    report.write_json(tmp_path / 'sub' / 'report.json')
    written = json.loads((tmp_path / 'sub' / 'report.json').read_text(encoding='utf-8'))
    assert written['ok'] is False
    assert written['counts'] == {'pass': 1, 'warning': 1, 'failure': 1}
    assert written['findings'][2] == {'level': 'failure', 'check': 'videos', 'message': '视频.mp4 is cut short'}
