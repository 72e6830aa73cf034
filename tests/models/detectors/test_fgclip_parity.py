"""FG-CLIP and FG-CLIP 2 give the numbers that the authors' code gave for the same weights and inputs (docs/parity.md).

Weights and inputs are formulas, in tests/models/released_fgclip1.py and released_fgclip2.py, so that only the numbers
are stored here.
"""

import pytest
import torch
from mmengine.structures import InstanceData

from tests.models import released_fgclip1, released_fgclip2
from vadlab.models.detectors.fgclip import FGCLIP
from vadlab.models.detectors.fgclip2 import FGCLIP2
from vadlab.structures import VADDataSample

NEAR = dict(atol=1e-4, rtol=0)


def near(found, wanted):
    wanted = torch.tensor(wanted)
    torch.testing.assert_close(found.detach().reshape(wanted.shape), wanted, **NEAR)


def as_videos(batch):
    """Each image as a video of one frame, padded to the largest; and the data samples."""
    images = list(batch['images'])
    height, width = (max(image.shape[side] for image in images) for side in (1, 2))
    inputs, samples = torch.zeros(len(images), 1, 3, height, width), []
    for i, image in enumerate(images):
        inputs[i, 0, :, : image.shape[1], : image.shape[2]] = image
        sample = VADDataSample(metainfo=dict(img_shape=tuple(image.shape[1:]), total_frames=1, frame_inds=[0]))
        sample.gt_caption_tokens = batch['captions'][i]
        sample.gt_regions = InstanceData(
            tokens=batch['texts'][i],
            negative_tokens=batch['negatives'][i],
            boxes_xyxyn=batch['boxes'][i][:, None],
            box_valid=torch.ones(len(batch['boxes'][i]), 1, dtype=torch.bool),
        )
        samples.append(sample)
    return inputs, samples


def text_features(model, captions, path):
    limit = model.text.long_context_length if path == 'long' else model.text.context_length
    cut = [t if len(t) <= limit else torch.cat([t[: limit - 1], t[-1:]]) for t in captions]
    return model._text_heads()[path](model.text(cut, long=path == 'long'))[:, :3]


def total_of(losses):
    return sum(value for name, value in losses.items() if name.startswith('loss'))


@pytest.fixture(scope='module')
def fgclip2(tmp_path_factory):
    folder = released_fgclip2.write_released(tmp_path_factory.mktemp('fgclip2'))
    model = FGCLIP2(
        vision=released_fgclip2.VISION,
        text=released_fgclip2.TEXT,
        loss_hard_negative=dict(type='RankedHardNegativeLoss'),
        pretrained=str(folder),
    )
    model.init_weights()
    return model


def test_losses_of_fgclip2_and_the_margin_of_the_next_step(fgclip2):
    inputs, samples = as_videos(released_fgclip2.parity_batch())
    fgclip2.train()
    fgclip2.loss_hard_negative.margin.zero_()
    for hard, total in ((7.5271497, 28.9450836), (7.5756936, 28.9693565)):
        losses = fgclip2(inputs, samples, mode='loss')
        near(losses['loss_global'], 14.4083490 + 10.0148382)  # long and short captions
        near(losses['loss_region'], 0.2 * 2.5371251)
        near(losses['loss_text'], 0.1 * 2.5089650)
        near(losses['loss_hard_negative'], 0.5 * hard)
        near(total_of(losses), total)
        near(fgclip2.loss_hard_negative.margin, 0.3384457)


@torch.no_grad()
def test_outputs_of_fgclip2(fgclip2):
    batch = released_fgclip2.parity_batch()
    encoded = [fgclip2.vision(image[None], torch.ones(1, dtype=torch.bool)) for image in batch['images']]
    near(
        torch.stack([pooled[0, :3] for pooled, _ in encoded]),
        [[-0.551613, -0.642944, -2.023428], [-0.253773, -0.587429, -2.291957], [-0.217055, -0.491072, -2.311297]],
    )
    near(
        torch.stack([dense[0, :3, -1, -1] for _, dense in encoded]),
        [[0.41039, -0.850809, -2.89952], [0.564043, -0.61618, -2.916456], [0.578134, -0.430879, -2.942108]],
    )
    regions = fgclip2._encode_videos(*as_videos(batch))['region_embeds']
    near(
        regions[::5, :3],
        [[0.04052, -0.08452, -0.287216], [0.058687, -0.064369, -0.303402], [0.061718, -0.045996, -0.314065]],
    )
    for path, wanted in (
        (
            'short',
            [[0.293205, -1.638674, -1.36633], [0.144837, -1.643907, -1.131676], [-0.075612, -1.824258, -1.56632]],
        ),
        ('long', [[0.576164, -1.065432, -1.011143], [0.717668, -1.049194, -1.080665], [0.596116, -1.0517, -1.009385]]),
        ('box', [[0.876178, 1.812652, 0.673968], [1.04473, 1.670316, 0.211242], [1.303374, 1.924884, 0.655819]]),
    ):
        near(text_features(fgclip2, batch['captions'], path), wanted)


@pytest.fixture(scope='module')
def fgclip(tmp_path_factory):
    folder = released_fgclip1.write_released(tmp_path_factory.mktemp('fgclip'))
    model = FGCLIP(
        vision=released_fgclip1.VISION,
        text=released_fgclip1.TEXT,
        embed_dim=released_fgclip1.EMBED,
        loss_hard_negative=dict(type='HardNegativeLoss'),
        pretrained=str(folder),
    )
    model.init_weights()
    with torch.no_grad():  # the detector starts at ln 100; the numbers are for the temperatures of the file
        model.logit_scale.fill_(3.0)
        model.logit_scale_finegrained.fill_(2.5)
        model.logit_scale_hardneg.fill_(2.0)
    return model


def test_losses_of_fgclip(fgclip):
    batch = released_fgclip1.parity_batch()
    inputs, samples = as_videos(batch)
    losses = fgclip(inputs, samples, mode='loss')
    near(losses['loss_global'], 3.3209667)  # long and short captions
    near(losses['loss_region'], 0.1 * 1.9324675)
    near(losses['loss_hard_negative'], 0.5 * 3.0800767)
    near(total_of(losses), 5.0542517)


@torch.no_grad()
def test_outputs_of_fgclip(fgclip):
    batch = released_fgclip1.parity_batch()
    pooled, dense = fgclip.vision(batch['images'], torch.ones(3, dtype=torch.bool))
    near(
        fgclip.visual_projection(pooled)[:, :3],
        [[-0.112389, -0.620493, -0.560275], [-0.11228, -0.620467, -0.560439], [-0.112301, -0.620493, -0.560391]],
    )
    near(
        fgclip.roi_projection(dense[:, :, 1, 1])[:, :3],
        [[1.502064, 0.804727, -0.544721], [1.499227, 0.822327, -0.536086], [1.523702, 0.830703, -0.562878]],
    )
    boxes = [b[:, None] for b in batch['boxes']]
    valid = [torch.ones(len(b), 1, dtype=torch.bool) for b in boxes]
    regions = fgclip.roi_pool(dense, torch.ones(3, 1, dtype=torch.bool), boxes, valid)[:, 0]
    near(
        fgclip.roi_projection(regions)[::2, :3],
        [[1.404729, 0.902179, -0.50832], [1.402299, 1.02699, -0.527206], [1.475681, 0.840679, -0.510776]],
    )
    for path, wanted in (
        ('short', [[0.991873, 0.917383, 0.371567], [1.623346, 1.879946, 0.821871], [1.315608, 1.547894, 0.798531]]),
        ('long', [[-1.824482, 0.218101, 1.551791], [-1.773484, 0.103105, 1.434368], [-2.045285, -0.224302, 1.283276]]),
    ):
        near(text_features(fgclip, batch['captions'], path), wanted)
