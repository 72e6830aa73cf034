"""A training step reads no value of the device. Oracle: torch's meta device, whose tensors have no values to read."""

import contextlib

import pytest
import torch
from mmengine.structures import InstanceData

from vadlab.models.backbones.clip_text_transformer import CLIPTextTransformer
from vadlab.models.detectors.fgclip import FGCLIP
from vadlab.structures import VADDataSample

VISION = dict(type='CLIPVisionTransformer', image_size=16, patch_size=8, width=16, layers=2, heads=2, chunk_size=3)
TEXT = dict(
    type='CLIPTextTransformer', vocab_size=64, context_length=24, long_context_length=40, width=12, layers=2, heads=2
)


@pytest.fixture
def step(monkeypatch):
    """Runs a whole step of FG-CLIP whose weights and frames have no values."""
    monkeypatch.setattr(torch, 'autocast', lambda *_, **__: contextlib.nullcontext())  # there is none for this device

    def run(**options):
        model = FGCLIP(
            vision=VISION,
            text=TEXT,
            embed_dim=8,
            loss_hard_negative=dict(type='HardNegativeLoss'),
            queue=dict(size=5, warmup=0),
            queue_global=True,
            **options,
        ).to('meta')
        optimizer = torch.optim.AdamW(model.parameters())
        for _ in range(2):  # the second with a queue
            losses = model(**model.data_preprocessor(batch(), True), mode='loss')
            sum(value for name, value in losses.items() if name.startswith('loss')).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            model.after_optimizer_step()
        assert losses['loss_global'].is_meta
        assert losses['video_negatives'] == 3 + 4
        assert all(p.grad is not None for p in model.parameters())

    return run


def batch():
    samples = []
    for number in range(4):
        sample = VADDataSample(metainfo=dict(video_id=f'v{number}', total_frames=4))
        sample.gt_caption_tokens = torch.arange(1, 30 if number == 1 else 4 + number)
        sample.gt_regions = InstanceData(
            tokens=[torch.tensor([1, 5, number, 2])] * (number % 3),
            negative_tokens=[[torch.tensor([1, 7 + number, 2])]] * (number % 3),
            boxes_xyxyn=torch.tensor([0.1, 0.2, 0.7, 0.8]).expand(number % 3, 4, 4),
            box_valid=torch.tensor([True, False, True, True]).expand(number % 3, 4),
        )
        samples.append(sample)
    return dict(inputs=[torch.zeros(4, 3, 16, 16, dtype=torch.uint8)] * 4, data_samples=samples)


@pytest.mark.parametrize('options', [{}, dict(gradient_cache=dict(contrast_batch=4, chunk=2))])
def test_a_step_of_fgclip_reads_nothing_of_the_device(step, options):
    step(**options)


def test_a_read_is_found(step, monkeypatch):
    """The test above fails when the step reads a value."""
    original = CLIPTextTransformer._encode

    def encode(self, x, end_k):
        if x.max() > 1e9:
            raise AssertionError
        return original(self, x, end_k)

    monkeypatch.setattr(CLIPTextTransformer, '_encode', encode)
    with pytest.raises((RuntimeError, NotImplementedError), match='meta'):
        step()
