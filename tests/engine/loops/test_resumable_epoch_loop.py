import pytest
import torch

from vadlab.engine.loops.resumable_epoch_loop import sample_names
from vadlab.structures import VADDataSample
from vadlab.utils.errors import TrainingError


def test_names_of_samples():
    samples = [VADDataSample(metainfo={'video_id': 'a'}), VADDataSample()]
    assert sample_names({'data_samples': samples}) == ['a', 'sample 1 of the batch']
    assert sample_names([]) == []


@pytest.mark.parametrize(
    ('error', 'message'),
    [
        (torch.OutOfMemoryError('CUDA out of memory.\nmore'), r'Out of memory .* \(video\d+, video\d+\).*with_cp'),
        (
            RuntimeError('CUDA error: device-side assert triggered'),
            r'device failed .* batch of video\d+, video\d+: CUDA',
        ),
    ],
)
def test_failures_of_the_device_name_the_samples(toy_runner, monkeypatch, error, message):
    runner = toy_runner(sanity_check=False)

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(runner.model, 'train_step', fail)
    with pytest.raises(TrainingError, match=message):
        runner.train()


def test_other_errors_keep_their_traceback(toy_runner, monkeypatch):
    runner = toy_runner(sanity_check=False)

    def fail(*args, **kwargs):
        raise RuntimeError('shapes do not match')

    monkeypatch.setattr(runner.model, 'train_step', fail)
    with pytest.raises(RuntimeError, match='shapes do not match') as caught:
        runner.train()
    assert not isinstance(caught.value, TrainingError)
