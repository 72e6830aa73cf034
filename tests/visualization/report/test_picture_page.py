import re

import pytest

from vadlab.visualization.report.file_names import picture_name
from vadlab.visualization.report.picture_page import Article, PicturePage


def test_highest_score_first_and_everything_escaped(tmp_path):
    entries = [
        Article('calm', ['calm.png'], '一个人', 'Normal', '0.200', order=0.2),
        Article(
            '<script>alert(1)</script>', ['a b#.png'], 'a & b <img src=x onerror=y>', '"x"', '0.900', True, order=0.9
        ),
    ]
    page = PicturePage('Tested videos', entries).write(tmp_path / 'new', '2 videos')
    text = page.read_text(encoding='utf-8')
    assert page.name == 'index.html'
    assert re.findall(r'src="([^"]+)"', text) == ['a%20b%23.png', 'calm.png']
    assert '<script>' not in text
    assert '<img src=x' not in text
    assert 'a &amp; b &lt;img src=x onerror=y&gt;' in text
    assert '一个人' in text
    assert re.findall(r'class="(score[^"]*)">([\d.]+)', text) == [('score alarm', '0.900'), ('score', '0.200')]
    assert '2 videos' in text
    assert sorted(path.name for path in page.parent.rglob('*.*')) == ['index.html', 'report.css']


def test_an_empty_test_makes_a_page_too(tmp_path):
    assert '0 videos' in PicturePage('Tested videos').write(tmp_path, '0 videos').read_text(encoding='utf-8')


@pytest.mark.parametrize('video_id', ['../../etc/passwd', 'a/b', 'a b', '异常', '', '.', 'x' * 300, 'con?.mp4', '-rf'])
def test_file_names_are_safe_and_differ(video_id):
    name = picture_name(video_id)
    assert re.fullmatch(r'[A-Za-z0-9_-][A-Za-z0-9._-]{0,120}\.png', name)
    assert name != picture_name(video_id + '?')


def test_a_plain_name_is_kept():
    assert picture_name('Abuse028_x264') == 'Abuse028_x264.png'
