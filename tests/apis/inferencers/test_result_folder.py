from dataclasses import replace

import pytest

from vadlab.apis.inferencers import result_folder
from vadlab.apis.inferencers.result_folder import claim_folder
from vadlab.structures.video_result import RunInfo
from vadlab.utils.errors import ConfigError

RUN = RunInfo('a.py', 'a.pth', 'Model', weights='one')


def test_of_two_runs_that_claim_a_folder_at_once_the_other_one_is_refused(tmp_path, monkeypatch):
    def then_another_run_claims_it(folder):
        monkeypatch.undo()
        claim_folder(folder, replace(RUN, weights='two'))
        return []

    monkeypatch.setattr(result_folder, 'folder_content', then_another_run_claims_it)
    with pytest.raises(ConfigError, match='results of another run: its weights: two; now: one'):
        claim_folder(tmp_path, RUN)
    assert RunInfo.load(tmp_path).weights == 'two'


def test_the_same_run_claims_its_folder_again(tmp_path):
    claim_folder(tmp_path, RUN)
    claim_folder(tmp_path, replace(RUN, checkpoint='copy.pth'))
    assert RunInfo.load(tmp_path).checkpoint == 'copy.pth'
