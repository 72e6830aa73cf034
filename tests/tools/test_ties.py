"""Scores that all tie are told by training, tools/test.py and tools/eval_scores.py alike."""

from pathlib import Path

import numpy as np

from . import tiny_features

ROOT = Path(__file__).parents[2]
WORDS = 'they tie, so frame/auc'


def test_every_tool_tells_scores_that_all_tie(train, test, load_tool, tmp_path, capsys):
    data = tiny_features.write_data(tmp_path / 'data')
    config = str(tiny_features.write_config('mil', tmp_path, ROOT, data))
    options = ['--cfg-options', 'feature_dir=blank', 'max_epochs=1', 'val_interval=1']
    train([config, '--work-dir', str(tmp_path / 'w'), *options])
    said = capsys.readouterr().out
    assert WORDS in said
    assert 'save_best: frame/auc = 0.5000 does not measure the model' in said
    test([config, str(tmp_path / 'w/epoch_1.pth'), '--work-dir', str(tmp_path / 't'), *options[:2]])
    assert WORDS in capsys.readouterr().out

    (tmp_path / 'scores').mkdir()
    frames = {'a': 64, 'b': 48}
    for name, length in frames.items():
        np.save(tmp_path / 'scores' / f'{name}.npy', np.ones(length))
    (tmp_path / 'frames.json').write_text('{"a": 64, "b": 48}')
    (tmp_path / 'ann.txt').write_text('a.mp4  Fighting  3  20  -1  -1\nb.mp4  Normal  -1  -1  -1  -1\n')
    arguments = ['--pred', str(tmp_path / 'scores'), '--ann', str(tmp_path / 'ann.txt')]
    arguments += ['--frames', str(tmp_path / 'frames.json'), '--protocol', 'ucf-crime', '--subset']
    load_tool('eval_scores').main(arguments)
    found = capsys.readouterr()
    assert WORDS in found.out + found.err
