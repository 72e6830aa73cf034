import json
from pathlib import Path

import pytest

from tools import score_synthetic_clip
from vadlab.utils.errors import MissingFileError

ROOT = Path(__file__).parents[2]
WEIGHTS = 'vadlab/simulators/surveillance/weights/clip_synthetic.safetensors'


def test_shipped_weights_tell_anomalies_in_unseen_scenes(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    out = tmp_path / 'figures.json'
    assert score_synthetic_clip.main([WEIGHTS, '--frames=256', f'--json={out}']) == 0
    figures = json.loads(out.read_text())
    assert figures['frame AUC'] >= 0.97
    assert figures['class accuracy'] >= 0.85
    assert figures['close-up to caption R@1 of 64'] >= 5 / 64  # five times chance
    assert 'frame AUC' in capsys.readouterr().out


def test_missing_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(MissingFileError, match=r'nowhere\.safetensors'):
        score_synthetic_clip.main([str(tmp_path / 'nowhere.safetensors')])
