import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / 'tools'))

from benchmarks import audiovisual


@pytest.mark.parametrize(('size', 'silent'), [('tiny VideoMAE', 0), ('tiny CNN', 0), ('tiny CNN', 2)])
def test_step_equals_the_plain_reference_before_it_is_timed(size, silent):
    reference, ours = (audiovisual.RecognizerStepJob(kind, size, silent) for kind in ('reference', 'ours'))
    assert (~reference.batch['has_audio']).sum() == silent
    found = reference.run(), ours.run()
    assert set(found[0]) == {'loss_species', 'loss_behaviour', 'grad_norm'}
    assert audiovisual.compare(*found, 'x', 'ours') == []
    for mine, theirs in (
        (ours.model.fusion.bottleneck, reference.model.bottleneck),
        (ours.model.encoders['audio'].resnet.conv1.weight, reference.model.audio.conv1.weight),
        (ours.model.fusion.cls['audio'], reference.model.cls['audio']),
    ):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-3, atol=1e-6)


def test_checkpointing_changes_no_result():
    found = [audiovisual.RecognizerStepJob(kind, 'tiny VideoMAE', 0).run() for kind in ('ours', 'ours_cp')]
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_another_result_is_an_error():
    assert audiovisual.compare({'loss_species': 1.0}, {'loss_species': 1.0002}, 'x', 'ours') == [
        'x, ours: loss_species is 1.0002, the reference says 1.0'
    ]
