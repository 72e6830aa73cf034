import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from vadlab.apis import load_model, score_video
from vadlab.utils.errors import DataError, MissingFileError

from .inferencers.conftest import tiny, videos  # noqa: F401 - fixtures

ROOT = Path(__file__).parents[2]


def test_a_video_is_scored_without_caption_annotation_or_class(tiny, videos):  # noqa: F811
    model = load_model(tiny / 'config.py', tiny / 'weights.pth')
    result = score_video(model, videos[0])
    assert result.scores.shape == result.times.shape == (24,)
    assert 0 <= result.scores.min() <= result.scores.max() <= 1
    assert all(event.label in result.classes for event in result.events)
    (same,) = model([videos[0]])
    assert np.array_equal(same.scores, result.scores)
    prompted = score_video(model, videos[0], prompts=['a fire'], negatives=['a street'])
    assert prompted.classes == ('Normal', 'a fire')


def test_what_is_not_one_video_is_an_error(tiny, videos, tmp_path):  # noqa: F811
    model = load_model(tiny / 'config.py', tiny / 'weights.pth')
    with pytest.raises(MissingFileError, match='no video, folder or list'):
        score_video(model, tmp_path / 'gone.mp4')
    with pytest.raises(DataError, match='has 7 videos'):
        score_video(model, videos[0].parent)
    shutil.copy(videos[0], tmp_path / 'cut.mkv')
    (tmp_path / 'text.mp4').write_text('text')
    with pytest.raises(DataError, match=r'text\.mp4: damaged, or not a video'):
        score_video(model, tmp_path / 'text.mp4')


@pytest.mark.parametrize('page', ['README.md', 'docs/inference.md'])
def test_the_lines_of_the_documentation_run(page, tiny, videos, tmp_path, monkeypatch, capsys):  # noqa: F811
    """As printed, with a tiny model in place of the demo's."""
    text = (ROOT / page).read_text(encoding='utf-8')
    (lines,) = [block for block in re.findall(r'```python\n(.*?)```', text, re.DOTALL) if 'score_video' in block]
    assert len([line for line in lines.splitlines() if line]) <= 5
    (tmp_path / 'configs').mkdir()
    (tmp_path / 'work_dirs' / 'fgclip_demo').mkdir(parents=True)
    shutil.copy(tiny / 'config.py', tmp_path / 'configs' / 'fgclip_demo.py')
    shutil.copy(tiny / 'weights.pth', tmp_path / 'work_dirs' / 'fgclip_demo' / 'epoch_12.pth')
    shutil.copy(videos[0], tmp_path / 'video.mp4')
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(lines, names)
    assert len(names['result'].scores) == 24
    assert capsys.readouterr().out.startswith('0.')
