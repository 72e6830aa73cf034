import copy
import math
from datetime import timedelta

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.structures import InstanceData
from torch.nn.parallel import DistributedDataParallel

from tests.gloo_ranks import end_rank
from vadlab.models.detectors.fgclip2 import FGCLIP2
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError

from .test_fgclip import GROUND, SCORES, T, losses_of, text, total_of

VISION = dict(type='SigLIP2VisionTransformer', patch_size=4, num_patches=9, width=16, layers=2, heads=2)
TEXT = dict(
    type='SigLIP2TextTransformer', vocab_size=64, context_length=24, long_context_length=60, width=16, layers=1, heads=2
)
SIZES = [(16, 16), (8, 20), (16, 16)]


def build(seed=0, **options):
    torch.manual_seed(seed)
    options = {'vision': VISION, 'text': TEXT, 'tokenizer': dict(type='LetterTokenizer'), **options}
    return FGCLIP2(**options)


def video(name, size, caption, regions, seed):
    """Frames of a size, and a sample with regions given as (tokens, frames with a box, negatives)."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(len(regions), T, 2, generator=generator) * 0.5
    valid = torch.zeros(len(regions), T, dtype=torch.bool)
    for r, (_, frames, _) in enumerate(regions):
        valid[r, list(frames)] = True
    boxes = torch.cat([corner, corner + 0.2 + 0.3 * torch.rand(len(regions), T, 2, generator=generator)], dim=-1)
    sample = VADDataSample(
        metainfo=dict(video_id=name, total_frames=10, frame_inds=np.array([0, 3, 6, 9]), img_shape=size)
    )
    sample.gt_caption_tokens = caption
    sample.gt_regions = InstanceData(
        tokens=[tokens for tokens, _, _ in regions],
        negative_tokens=[list(negatives) for _, _, negatives in regions],
        boxes_xyxyn=boxes * valid[..., None],
        box_valid=valid,
    )
    return torch.randint(0, 256, (T, 3, *size), dtype=torch.uint8, generator=generator), sample


def batch(sizes=SIZES):
    videos = [
        video('v0', sizes[0], text(5, 6), [(text(7), (0, 2), [text(8), text(9, 9)]), (text(10, 11), (2,), [])], 1),
        video('v1', sizes[1], text(*[3] * 30), [(text(12), (1,), [])], 2),
        video('v2', sizes[2], text(15), [(text(17, 18), (1, 2, 3), [text(19)])], 3),
    ]
    return dict(inputs=[frames for frames, _ in videos], data_samples=[sample for _, sample in videos])


HARD = dict(loss_hard_negative=dict(type='RankedHardNegativeLoss'))


def test_videos_of_different_sizes_are_encoded_as_if_each_were_alone():
    model = build(score_head=SCORES, grounding_head=GROUND).eval()
    together = model(**model.data_preprocessor(batch()), mode='predict')
    for i, found in enumerate(together):
        data = batch()
        one = {name: values[i : i + 1] for name, values in data.items()}
        (alone,) = model(**model.data_preprocessor(one), mode='predict')
        for name in ('pred_video_embed', 'pred_caption_embed', 'pred_scores'):
            torch.testing.assert_close(found.get(name), alone.get(name))
        for name in ('embeds', 'caption_embeds', 'boxes_xyxyn', 'box_scores'):
            torch.testing.assert_close(found.pred_regions[name], alone.pred_regions[name])
    assert together[1].pred_regions.boxes_xyxyn.shape == (1, T, 4)
    assert together[1].pred_scores.shape == (10,)


def test_padding_of_smaller_videos_has_no_influence():
    model = build().eval()
    data = model.data_preprocessor(batch())
    data['inputs'][1, :, :, 8:] = 1e6
    data['inputs'][[0, 2], ..., 16:] = -1e6
    wanted = model(**model.data_preprocessor(batch()), mode='tensor')
    torch.testing.assert_close(model(**data, mode='tensor'), wanted)


def test_every_parameter_is_trained():
    model = build(**HARD)
    losses = losses_of(model, batch())
    assert {'loss_global', 'loss_region', 'loss_text', 'loss_hard_negative'} <= set(losses)
    total_of(losses).backward()
    grads = {name: p.grad for name, p in model.named_parameters()}
    without = [name for name, grad in grads.items() if grad is None or not grad.any()]
    # A softmax does not depend on the bias of its keys.
    assert [name for name in without if 'k_proj.bias' not in name] == []


def test_regions_go_through_the_head_for_boxes_and_captions_by_length():
    model = build().eval()
    short, long = text(5, 6), text(*[3] * 30)
    with torch.no_grad():
        for path, tokens, head in (
            ('short', short, model.text_projection),
            ('long', long, model.text_filip_projection),
            ('box', short, model.text_box_projection),
        ):
            wanted = torch.nn.functional.normalize(head(model.text([tokens], long=path == 'long')), dim=-1)
            torch.testing.assert_close(model.encode_texts([tokens], [path]), wanted)
            if path != 'box':
                torch.testing.assert_close(model.encode_texts([tokens]), wanted)
        cut = torch.cat([long[:23], long[-1:]])
        torch.testing.assert_close(model.encode_texts([long], ['box']), model.encode_texts([cut], ['box']))
    assert model.region_path(long) == 'box'


@pytest.mark.parametrize('sizes', [SIZES, [(12, 12)] * 3])
def test_gradient_cache_gives_the_same_losses_and_gradients(sizes):
    plain = build(**HARD)
    cached = build(**HARD, gradient_cache=dict(contrast_batch=3, chunk=1))
    cached.load_state_dict(plain.state_dict())
    found = []
    for model in (plain, cached):
        losses = losses_of(model, batch(sizes))
        total_of(losses).backward()
        found.append(({k: v.detach() for k, v in losses.items()}, [p.grad for p in model.parameters()]))
    torch.testing.assert_close(found[1], found[0], atol=1e-5, rtol=1e-4)


def test_a_batch_without_regions_trains_the_rest():
    data = batch()
    for sample in data['data_samples']:
        sample.gt_regions = sample.gt_regions[:0]
    model = build(**HARD)
    losses = losses_of(model, data)
    total_of(losses).backward()
    assert losses['loss_region'] == losses['loss_text'] == losses['loss_hard_negative'] == 0
    assert model.text_projection.weight.grad.any()
    # DistributedDataParallel waits for a gradient of every parameter.
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def _rank_batch(rows):
    """Rank 0 gets two videos with regions, rank 1 one without, all of different sizes."""
    data = batch([(16, 16), (8, 20), (12, 8)])
    data['data_samples'][2].gt_regions = data['data_samples'][2].gt_regions[:0]
    return {name: values[rows] for name, values in data.items()}


def _train_rank(rank, path):
    dist.init_process_group('gloo', f'file://{path}/store', rank=rank, world_size=2, timeout=timedelta(seconds=120))
    torch.set_num_threads(1)
    model = build(**HARD)
    wrapped = DistributedDataParallel(model, broadcast_buffers=False)
    for _ in range(2):  # the second with a margin
        model.zero_grad()
        rows = slice(0, 2) if rank == 0 else slice(2, 3)
        losses = wrapped(**model.data_preprocessor(_rank_batch(rows), True), mode='loss')
        total_of(losses).backward()
    grads = {name: p.grad for name, p in model.named_parameters()}
    torch.save(
        [grads, model.loss_hard_negative.margin, {k: v.detach() for k, v in losses.items()}], f'{path}/{rank}.pth'
    )
    end_rank()


@pytest.mark.slow
def test_two_ranks_one_without_regions_equal_one_process(tmp_path):
    mp.spawn(_train_rank, args=(str(tmp_path),), nprocs=2)
    model = build(**HARD)
    for _ in range(2):
        model.zero_grad()
        losses = losses_of(model, _rank_batch(slice(0, 3)))
        total_of(losses).backward()
    for grads, margin, rank_losses in (torch.load(tmp_path / f'{rank}.pth') for rank in range(2)):
        for name, p in model.named_parameters():
            torch.testing.assert_close(grads[name], p.grad, atol=1e-5, rtol=1e-4, msg=name)
        torch.testing.assert_close(margin, model.loss_hard_negative.margin)
        for name, value in losses.items():
            if name.startswith('loss'):
                torch.testing.assert_close(rank_losses[name], value.detach(), atol=1e-5, rtol=1e-5)


def test_sigmoid_temperature_has_no_upper_bound_and_the_others_have():
    model = build()
    model.init_weights()
    assert model.logit_scale.item() == pytest.approx(math.log(10))
    assert model.logit_bias.item() == -10
    assert model.logit_scale_hardneg.item() == pytest.approx(math.log(1 / 0.07))
    with torch.no_grad():
        for scale in (model.logit_scale, model.logit_scale_finegrained, model.logit_scale_hardneg):
            scale.fill_(6.0)
    losses_of(model, batch())
    model.after_optimizer_step()
    assert model.logit_scale.item() == 6
    assert model.logit_scale_finegrained.item() == pytest.approx(math.log(100))
    assert model.logit_scale_hardneg.item() == pytest.approx(math.log(100))


def test_margin_and_queue_are_in_the_checkpoint():
    model = build(**HARD, queue=dict(type='NegativeQueue', size=8, warmup=0))
    losses_of(model, batch())
    model.loss_hard_negative.margin.fill_(0.25)
    again = build(seed=1, **HARD, queue=dict(type='NegativeQueue', size=8, warmup=0))
    again.load_state_dict(copy.deepcopy(model.state_dict()))
    assert again.loss_hard_negative.margin == 0.25
    assert again.queue_region.fill == 4


def test_mixed_precision_on_a_cpu_gives_finite_float32_losses():
    model = build(**HARD)
    with torch.autocast('cpu', torch.bfloat16):
        losses = losses_of(model, batch())
    assert all(value.isfinite() and value.dtype == torch.float32 for value in losses.values())


def test_diagnostics_of_videos_of_different_sizes():
    model = build()
    model.collect_diagnostics = True
    losses_of(model, batch())
    found = model.diagnostics()
    assert found['region/norm_mean'] > 0
    assert found['global/norm_near_zero'] == 0


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match=r'vision\.width=16 and text\.width=32 must be equal'):
        build(text=TEXT | dict(width=32))
    with pytest.raises(ConfigError, match='without pretrained it needs a tokenizer'):
        build(tokenizer=None)
    with pytest.raises(ConfigError, match=r'above ln 100'):
        build(logit_scale_init=5.0)
