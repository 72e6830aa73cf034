import numpy as np
import pytest
from metric_samples import evaluate, scored

from vadlab.evaluation.metrics import ScoreWriter
from vadlab.utils.errors import ConfigError, DataError


@pytest.mark.parametrize('field', ['pred_scores', 'pred_margins'])
def test_scores_come_back_by_video_id(tmp_path, field):
    out = tmp_path / 'new' / 'scores.npz'
    samples = [scored('file', [0.0, 1.5]), scored('异常 a/b.c', [-2.0]), scored('x' * 50, np.zeros(7))]
    assert evaluate(ScoreWriter(str(out), field), samples) == {}
    with np.load(out, allow_pickle=False) as scores:
        assert set(scores.files) == {sample.video_id for sample in samples}
        for sample in samples:
            np.testing.assert_array_equal(scores[sample.video_id], sample.get(field).numpy())
    assert list(out.parent.iterdir()) == [out]


def test_a_failed_test_leaves_the_old_file(tmp_path):
    out = tmp_path / 'scores.npz'
    evaluate(ScoreWriter(str(out)), [scored('a', [0.0])])
    before = out.read_bytes()
    with pytest.raises(DataError, match='no sample was tested'):
        ScoreWriter(str(out)).evaluate(0)
    assert out.read_bytes() == before
    assert list(tmp_path.iterdir()) == [out]


def test_options_that_do_not_exist(tmp_path):
    with pytest.raises(ConfigError, match=r'must end in \.npz'):
        ScoreWriter('scores.json')
    with pytest.raises(ConfigError, match='pred_scores, pred_margins'):
        ScoreWriter('scores.npz', field='pred_logits')
