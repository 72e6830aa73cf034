import numpy as np
import pytest
import torch

from vadlab.engine.hooks.score_file_hook import ScoreFileHook
from vadlab.structures import AudioVisualDataSample, VADDataSample


def sample(name, **fields):
    data = VADDataSample(metainfo=dict(video_id=name))
    for key, value in fields.items():
        setattr(data, key, torch.tensor(value))
    return data


def write(hook, *samples):
    hook.before_test(None)
    hook.after_test_iter(None, 0, outputs=list(samples))
    hook.after_test(None)
    with np.load(hook.path) as content:
        return {name: content[name] for name in content.files}


def test_scores_keep_the_order_of_margins_that_float32_probabilities_would_tie(tmp_path):
    scores = write(ScoreFileHook(str(tmp_path / 'out' / 'scores.npz')), sample('a', pred_logits=[20.0, 25.0, 0.0]))
    assert scores['a'].dtype == np.float64
    assert scores['a'][0] < scores['a'][1] < 1
    assert scores['a'][2] == 0.5


@pytest.mark.parametrize('name', ['file', 'allow_pickle', 'v=Ab__#1_label_A'])
def test_any_video_name_is_kept(tmp_path, name):
    scores = write(ScoreFileHook(str(tmp_path / 'scores.npz')), sample(name, pred_scores=[0.25, 0.5]))
    np.testing.assert_array_equal(scores[name], [0.25, 0.5])


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    hook = ScoreFileHook(str(tmp_path / 'scores.npz'))
    write(hook, sample('a', pred_scores=[0.25]))

    def fail(*args, **kwargs):
        raise OSError('no space left')

    monkeypatch.setattr(np.lib.format, 'write_array', fail)
    with pytest.raises(OSError, match='no space'):
        write(hook, sample('a', pred_scores=[0.75]))
    with np.load(hook.path) as content:
        assert content['a'] == [0.25]


def test_of_classified_clips_the_probabilities_of_each_head(tmp_path):
    clips = []
    for number in range(3):
        clip = AudioVisualDataSample(metainfo=dict(clip_id=f'clip{number}'))
        clip.pred_scores = {'species': torch.tensor([0.25, 0.75]), 'calls': torch.tensor([0.1 * number])}
        clips.append(clip)
    content = write(ScoreFileHook(str(tmp_path / 'scores.npz')), *clips)
    assert content['clip_id'].tolist() == ['clip0', 'clip1', 'clip2']
    np.testing.assert_array_equal(content['species'], [[0.25, 0.75]] * 3)
    np.testing.assert_allclose(content['calls'][:, 0], [0, 0.1, 0.2], rtol=1e-6)
