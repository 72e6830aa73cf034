import json
from pathlib import Path

import pytest

from tools import score_synthetic_clip
from vadlab.utils.errors import MissingFileError

ROOT = Path(__file__).parents[2]
WEIGHTS = 'vadlab/simulators/surveillance/weights/clip_everyday.safetensors'


def test_shipped_weights_know_everyday_scenes_and_no_anomaly(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    out = tmp_path / 'figures.json'
    assert score_synthetic_clip.main([WEIGHTS, '--frames=256', f'--json={out}']) == 0
    figures = json.loads(out.read_text())
    (region,) = (name for name in figures if 'region' in name)
    chance = 1 / int(region.rsplit(' ', 1)[1])
    assert figures[region] >= 5 * chance
    assert 0.3 <= figures['event frame AUC, zero-shot'] <= 0.75
    assert 'zero-shot' in capsys.readouterr().out


def test_missing_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(MissingFileError, match=r'nowhere\.safetensors'):
        score_synthetic_clip.main([str(tmp_path / 'nowhere.safetensors')])
