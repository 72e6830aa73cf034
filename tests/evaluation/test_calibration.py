from pathlib import Path

from vadlab.evaluation.calibration import CalibrationFile, scoring_id
from vadlab.structures.video_result import Calibration, Thresholds


def test_why_a_calibration_is_another_one():
    head = dict(type='PromptScoringHead', cells=2, cell_level=0.3)
    made = scoring_id(dict(score_head=head))
    file = CalibrationFile(
        Path('a.json'), Thresholds(0.5, 0.2), Calibration(1.0, 2, 0.2, 0, 0, (0.5,)), 'w', 'all frames', scoring=made
    )
    assert file.why_other('w', 'all frames', made) == ''
    assert file.why_other('w') == ''
    assert 'other weights' in file.why_other('v', 'all frames', made)
    assert 'made with all frames, not every 2nd' in file.why_other('w', 'every 2nd', made)
    other = scoring_id(dict(score_head=head | dict(cell_level=0.4)))
    assert 'other settings of score_head' in file.why_other('w', 'all frames', other)
    assert scoring_id(dict(type='RTFM')) == ''
