import math
from datetime import timedelta

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from mmcv.ops import roi_align
from mmengine.structures import InstanceData
from torch.nn.parallel import DistributedDataParallel

from tests.gloo_ranks import end_rank
from vadlab.models.detectors import fgclip
from vadlab.models.detectors.clip import CLIP
from vadlab.models.detectors.fgclip import FGCLIP
from vadlab.models.layers.weights_cache import steady_weights
from vadlab.registry import TOKENIZERS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import CheckpointError, ConfigError

VISION = dict(type='CLIPVisionTransformer', image_size=16, patch_size=4, width=16, layers=2, heads=2)
TEXT = dict(
    type='CLIPTextTransformer', vocab_size=64, context_length=24, long_context_length=60, width=12, layers=2, heads=2
)
SCORES = dict(
    type='PromptScoringHead', classes=['Normal', 'Fighting'], prompts=dict(Normal=['a', 'b'], Fighting=['c d'])
)
GROUND = dict(type='GroundingHead', proposals=dict(type='GridProposals', sizes=(0.4,), step=0.5))
T = 4


@TOKENIZERS.register_module(force=True)
class LetterTokenizer:
    """One token per letter."""

    def encode(self, text, max_len=248):
        return [1, *(3 + ord(c) % 60 for c in text), 2][:max_len]


def build(seed=0, **options):
    torch.manual_seed(seed)
    options = {'vision': VISION, 'text': TEXT, 'embed_dim': 8, 'tokenizer': dict(type='LetterTokenizer'), **options}
    return FGCLIP(**options)


def text(*ids):
    return torch.tensor([1, *ids, 2])


def sample(name, caption, regions=(), seed=0):
    """A video with regions given as (tokens, frames with a box, negatives)."""
    generator = torch.Generator().manual_seed(seed)
    n = len(regions)
    corner = torch.rand(n, T, 2, generator=generator) * 0.5
    valid = torch.zeros(n, T, dtype=torch.bool)
    for r, (_, frames, _) in enumerate(regions):
        valid[r, list(frames)] = True
    boxes = (
        torch.cat([corner, corner + 0.2 + 0.3 * torch.rand(n, T, 2, generator=generator)], dim=-1) * valid[..., None]
    )
    out = VADDataSample(metainfo=dict(video_id=name, total_frames=10, frame_inds=np.array([0, 3, 6, 9])))
    out.gt_caption_tokens = caption
    out.gt_regions = InstanceData(
        tokens=[tokens for tokens, _, _ in regions],
        negative_tokens=[list(negatives) for _, _, negatives in regions],
        boxes_xyxyn=boxes,
        box_valid=valid,
    )
    return out


def batch():
    """Three videos with two regions (one with hard negatives), no region, and two regions (one without a frame)."""
    generator = torch.Generator().manual_seed(3)
    videos = [torch.randint(0, 256, (T, 3, 16, 16), dtype=torch.uint8, generator=generator) for _ in range(3)]
    samples = [
        sample('v0', text(5, 6), [(text(7), (0, 2), [text(8), text(9, 9)]), (text(10, 11), (2,), [])], 1),
        sample('v1', text(12, 13, 14)),
        sample('v2', text(15), [(text(16), (), [text(20)]), (text(17, 18), (1, 2, 3), [text(19)])], 2),
    ]
    return dict(inputs=videos, data_samples=samples)


def test_masked_pooling_of_regions_equals_the_mean_with_zeros():
    """Frames without a box as zeros only scale the mean, and embeddings have unit length."""
    model, data = build().eval(), batch()
    inputs = model.data_preprocessor(data, False)
    masked = model._encode_videos(inputs['inputs'], inputs['data_samples'])
    model.region_pooling.forward = lambda feats, mask: ((feats * mask[..., None]).mean(1), mask.any(1))
    zeros = model._encode_videos(inputs['inputs'], inputs['data_samples'])
    valid = masked['region_valid']
    assert valid.tolist() == [True, True, False, True]
    torch.testing.assert_close(masked['region_embeds'][valid], zeros['region_embeds'][valid], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(masked['norms'][1][valid], zeros['norms'][1][valid])


def losses_of(model, data):
    return model(**model.data_preprocessor(data, True), mode='loss')


def total_of(losses):
    return sum(v for k, v in losses.items() if k.startswith('loss'))


# ------------------------------------------------------------------------------------------------------------- losses


def _plain_losses(model, inputs, data_samples):
    """Reference of the three losses in the paper: one video, one region, one text at a time."""

    def unit_text(tokens):
        return F.normalize(model.text_projection(model.text([tokens]))[0], dim=0)

    def contrast(queries, keys, scale):
        logits = scale * torch.stack(queries) @ torch.stack(keys).T
        own = torch.arange(len(logits))
        return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2

    videos, captions, regions, region_captions, hard = [], [], [], [], []
    for frames, s in zip(inputs, data_samples, strict=True):
        cls, dense = model.vision(frames, torch.ones(T, dtype=torch.bool))
        videos.append(F.normalize(model.visual_projection(cls).mean(0), dim=0))
        captions.append(unit_text(s.gt_caption_tokens))
        projected = model.roi_projection(dense.movedim(1, -1)).movedim(-1, 1).contiguous()  # mmcv ignores strides
        g = s.gt_regions
        for r in range(len(g)):
            pooled = []
            for t in g.box_valid[r].nonzero()[:, 0].tolist():
                roi = torch.cat([torch.zeros(1), g.boxes_xyxyn[r, t] * 4])[None].to(projected)
                pooled.append(roi_align(projected[t : t + 1], roi, 1, 1.0, 0, 'avg', True))
            if pooled:
                regions.append(F.normalize(torch.stack(pooled).mean(0).flatten(), dim=0))
                region_captions.append(unit_text(g.tokens[r]))
                if g.negative_tokens[r]:
                    rivals = torch.stack([region_captions[-1], *map(unit_text, g.negative_tokens[r])])
                    logits = model.logit_scale_hardneg.exp() * rivals @ regions[-1]
                    hard.append(F.cross_entropy(logits[None], torch.tensor([0])))
    return {
        'loss_global': contrast(videos, captions, model.logit_scale.exp()),
        'loss_region': 0.1 * contrast(regions, region_captions, model.logit_scale_finegrained.exp()),
        'loss_hard_negative': 0.5 * torch.stack(hard).mean(),
    }


@pytest.mark.parametrize('chunk_size', [None, 1, 5])
def test_losses_and_gradients_equal_a_plain_loop_for_any_chunks(chunk_size):
    model = build(vision={**VISION, 'chunk_size': chunk_size}, loss_hard_negative=dict(type='HardNegativeLoss'))
    inputs, data = model.data_preprocessor(batch())['inputs'], batch()
    losses = model(inputs, data['data_samples'], mode='loss')
    for name, value in _plain_losses(model, inputs, data['data_samples']).items():
        torch.testing.assert_close(losses[name], value, atol=1e-5, rtol=1e-5)
    assert losses['region_negatives'] == 2

    model.double()  # float64, because gradients of these random towers are large and rounding would hide small errors
    losses = model(inputs.double(), data['data_samples'], mode='loss')
    plain = _plain_losses(model, inputs.double(), data['data_samples'])
    total_of(losses).backward()
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    sum(plain.values()).backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-8, rtol=1e-6, msg=name)


def test_every_parameter_is_trained_and_predictions_change():
    options = dict(loss_hard_negative=dict(type='HardNegativeLoss'), queue=dict(size=8, warmup=0))
    model = build(score_head=SCORES, grounding_head=GROUND, **options)
    data = batch()
    data['data_samples'][1].gt_caption_tokens = text(*range(3, 40))  # with long positions, too
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    first = total_of(losses_of(model, data))
    first.backward()
    assert not [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    for _ in range(30):
        optimizer.step()
        model.after_optimizer_step()
        optimizer.zero_grad()
        model.queue_region.num_enqueued = 0  # keep the queue empty: it would hold the same batch
        last = total_of(losses_of(model, data))
        last.backward()
    assert last < 0.8 * first
    model.eval()
    assert all(s.pred_scores.isfinite().all() for s in model.val_step(data))


def test_a_batch_without_regions_trains_the_rest():
    model = build(loss_hard_negative=dict(type='HardNegativeLoss'))
    data = dict(inputs=batch()['inputs'], data_samples=[sample(str(i), text(5 + i)) for i in range(3)])
    losses = losses_of(model, data)
    assert losses['loss_region'] == 0
    assert losses['loss_hard_negative'] == 0
    total_of(losses).backward()
    assert not model.roi_projection.weight.grad.any()
    assert model.visual_projection.weight.grad.any()


def test_samples_without_region_annotation_are_videos_without_regions():
    model, data = build(), batch()
    with_empty = losses_of(model, data)
    del data['data_samples'][1].gt_regions
    assert total_of(losses_of(model, data)) == total_of(with_empty)


def test_equal_captions_are_not_negatives_of_each_other():
    model = build()
    same = [sample(str(i), text(5), [(text(6), (0,), [])], i) for i in range(3)]
    losses = losses_of(model, dict(inputs=batch()['inputs'], data_samples=same))
    assert losses['loss_global'] == 0
    assert losses['loss_region'] == 0


def test_dense_features_are_computed_only_for_frames_with_a_box(monkeypatch):
    model, asked = build(), []
    forward = model.vision.forward
    monkeypatch.setattr(model.vision, 'forward', lambda x, mask=None: (asked.append(mask), forward(x, mask))[1])
    losses_of(model, batch())
    assert asked[0].view(3, T).tolist() == [[True, False, True, False], [False] * 4, [False, True, True, True]]


def test_text_tower_runs_once_for_short_and_once_for_long_positions(monkeypatch):
    model, data, calls = build(), batch(), []
    forward = model.text.forward
    monkeypatch.setattr(
        model.text, 'forward', lambda tokens, long=False: (calls.append((long, len(tokens))), forward(tokens, long))[1]
    )
    losses_of(model, data)
    data['data_samples'][0].gt_caption_tokens = text(*range(3, 40))
    losses_of(model, data)
    assert calls == [(False, 7), (False, 7), (True, 3)]


def test_long_captions_add_a_contrastive_loss_with_long_positions():
    model, data = build(), batch()
    long = text(*range(3, 40))
    data['data_samples'][0].gt_caption_tokens = torch.cat([long[:23], long[-1:]])  # cut to the short positions
    short_loss = losses_of(model, data)['loss_global']
    data['data_samples'][0].gt_caption_tokens = long
    losses = losses_of(model, data)
    cls, _ = model.vision(model.data_preprocessor(data)['inputs'].flatten(0, 1))
    videos = F.normalize(model.visual_projection(cls).unflatten(0, (3, T)).mean(1), dim=-1)
    tokens = [s.gt_caption_tokens for s in data['data_samples']]
    texts = F.normalize(model.text_filip_projection(model.text(tokens, long=True)), dim=-1)
    logits, own = model.logit_scale.exp() * videos @ texts.T, torch.arange(3)
    wanted = short_loss + (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    torch.testing.assert_close(losses['loss_global'], wanted, atol=1e-5, rtol=1e-5)


def test_without_long_positions_long_texts_are_cut_before_the_end():
    model = build(text={**TEXT, 'long_context_length': None})
    long = text(*range(3, 40))
    torch.testing.assert_close(model.encode_texts([long]), model.encode_texts([torch.cat([long[:23], long[-1:]])]))
    assert model.encode_texts([]).shape == (0, 8)


# -------------------------------------------------------------------------------------------------- negatives and queue


def test_queue_adds_negatives_after_its_warmup_and_takes_valid_regions_only():
    model, plain = build(queue=dict(size=16, warmup=1)), build()
    first = losses_of(model, batch())
    assert total_of(first) == total_of(losses_of(plain, batch()))
    assert (model.queue_region.fill, model.queue_global.fill) == (3, 3)
    model.queue_region.after_optimizer_step()
    data = batch()
    for s in data['data_samples']:
        s.gt_regions.tokens = [t + 20 for t in s.gt_regions.tokens]  # other captions, so that the queue's are negatives
    assert losses_of(model, data)['loss_region'] > losses_of(plain, data)['loss_region']
    assert losses_of(model, data)['region_negatives'] == 2 + 6


def test_queue_is_filled_in_training_only():
    model = build(queue=dict(size=16, warmup=1)).eval()
    losses_of(model, batch())
    assert model.queue_region.fill == 0


def test_queue_is_used_in_the_global_loss_of_every_batch_on_request():
    model = build(queue=dict(size=16, warmup=0), queue_global=True)
    plain = build()
    losses_of(model, batch())
    data = batch()
    for s in data['data_samples']:
        s.gt_caption_tokens = s.gt_caption_tokens + 20
    assert losses_of(model, data)['loss_global'] > losses_of(plain, data)['loss_global']


def _lone():
    data = batch()
    return {name: values[:1] for name, values in data.items()}


def test_one_video_per_batch_without_queue_is_an_error():
    with pytest.raises(ConfigError, match=r'one video per batch.*batch_size=2 or more.*model\.queue'):
        losses_of(build(), _lone())
    with pytest.raises(ConfigError, match='one video per batch'):
        build().check_negatives(batch_size=1)
    build().check_negatives(batch_size=1, world_size=2)
    build(queue=dict(size=4)).check_negatives(batch_size=1)


def test_a_single_video_in_the_last_batch_is_not_an_error():
    model = build()
    losses_of(model, batch())
    assert losses_of(model, _lone())['loss_global'] == 0


def test_one_video_per_batch_is_trained_with_the_queue():
    model = build(queue=dict(size=16, warmup=0))
    losses_of(model, batch())
    data = _lone()
    data['data_samples'][0].gt_caption_tokens = text(50)
    assert losses_of(model, data)['loss_global'] > 0


def _train_rank(rank, world, path, rows):
    dist.init_process_group('gloo', f'file://{path}/store', rank=rank, world_size=world, timeout=timedelta(seconds=120))
    torch.set_num_threads(1)
    model = build(loss_hard_negative=dict(type='HardNegativeLoss'), queue=dict(size=5, warmup=0))
    wrapped = DistributedDataParallel(model, broadcast_buffers=False)
    for step in range(2):  # the second with a filled queue
        model.zero_grad()
        data = model.data_preprocessor(_rank_batch(rows[rank], step), True)
        losses = wrapped(**data, mode='loss')
        total_of(losses).backward()
    grads = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    buffers = {n: b for n, b in model.named_buffers() if n.startswith('queue')}
    torch.save([grads, buffers, {k: v.detach() for k, v in losses.items()}], f'{path}/{rank}.pth')
    end_rank()


def _rank_batch(rows, step):
    data = batch()
    data['data_samples'].append(sample('v3', text(30)))
    data['inputs'].append(data['inputs'][0].flip(0))
    for s in data['data_samples']:
        s.gt_caption_tokens = s.gt_caption_tokens + step
        s.gt_regions.tokens = [t + step for t in s.gt_regions.tokens]
    return {name: values[rows] for name, values in data.items()}


@pytest.mark.slow
def test_two_ranks_equal_one_process_in_gradients_and_queues(tmp_path):
    # Rank 0 has two regions with a frame, rank 1 has one; only rank 1's videos have both kinds of negatives.
    mp.spawn(_train_rank, args=(2, str(tmp_path), [slice(0, 2), slice(2, 4)]), nprocs=2)
    ranks = [torch.load(tmp_path / f'{rank}.pth') for rank in range(2)]
    model = build(loss_hard_negative=dict(type='HardNegativeLoss'), queue=dict(size=5, warmup=0))
    for step in range(2):
        model.zero_grad()
        losses = losses_of(model, _rank_batch(slice(0, 4), step))
        total_of(losses).backward()
    wanted = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    for grads, buffers, rank_losses in ranks:
        for name, value in wanted.items():
            torch.testing.assert_close(grads[name], value, atol=1e-5, rtol=1e-4, msg=name)
        for name, buffer in model.named_buffers():
            if name in buffers:
                torch.testing.assert_close(buffers[name], buffer, msg=name)
        for name in ('loss_global', 'loss_region', 'loss_hard_negative'):
            torch.testing.assert_close(rank_losses[name], losses[name].detach(), atol=1e-5, rtol=1e-5)


# ------------------------------------------------------------------------------------------- temperatures and weights


def _scales(model):
    return [getattr(model, n).item() for n in ('logit_scale', 'logit_scale_finegrained', 'logit_scale_hardneg')]


def _saved_clip(tmp_path, **text_options):
    torch.manual_seed(5)
    clip = CLIP(vision=VISION, text={**TEXT, 'long_context_length': None, **text_options}, embed_dim=8)
    clip.logit_scale.data.fill_(3.0)
    path = tmp_path / 'clip.pth'
    arch = {'vision': VISION, 'text': TEXT}
    torch.save({'state_dict': clip.state_dict(), 'meta': {'cfg': f'model = {arch!r}'}}, path)
    return clip, str(path)


def test_temperatures_start_low_from_scratch_and_the_log_gives_the_reason(caplog):
    model = build()
    messages = []
    model_log = fgclip.log_logit_scales
    try:
        fgclip.log_logit_scales = lambda m, reason: messages.append(reason)
        model.init_weights()
    finally:
        fgclip.log_logit_scales = model_log
    assert _scales(model) == pytest.approx([math.log(1 / 0.07)] * 3)
    assert messages == ['ln(1 / 0.07), for random weights']


def test_pretrained_weights_start_at_ln_100_and_missing_ones_are_initialised(tmp_path):
    clip, path = _saved_clip(tmp_path)
    model = build(pretrained=path)
    model.init_weights()
    assert _scales(model) == pytest.approx([math.log(100)] * 3)
    assert torch.equal(model.visual_projection.weight, clip.visual_projection.weight)
    assert torch.equal(model.roi_projection.weight, clip.visual_projection.weight)
    assert torch.equal(model.text_projection.weight, clip.text_projection.weight)
    assert torch.equal(model.text_filip_projection.weight, clip.text_projection.weight)
    assert torch.equal(model.text.positional_embedding_long[:20], clip.text.positional_embedding[:20])


def test_initial_temperatures_can_be_set(tmp_path):
    model = build(pretrained=_saved_clip(tmp_path)[1], logit_scale_init=2.0)
    model.init_weights()
    assert _scales(model) == [2.0] * 3
    with pytest.raises(ConfigError, match=r'logit_scale_init=5\.0 is above ln 100'):
        build(logit_scale_init=5.0)


def test_pretrained_weights_of_another_size_are_named(tmp_path):
    model = build(pretrained=_saved_clip(tmp_path)[1], vision={**VISION, 'width': 32})
    with pytest.raises(CheckpointError, match=r'vision\.width is 16 in the file, 32 in the config'):
        model.init_weights()


def test_temperatures_never_exceed_ln_100():
    model = build()
    for name in ('logit_scale', 'logit_scale_finegrained', 'logit_scale_hardneg'):
        getattr(model, name).data.fill_(7.0)
    model.after_optimizer_step()
    assert _scales(model) == pytest.approx([math.log(100)] * 3)


def test_state_of_the_queue_is_in_the_checkpoint():
    model, other = build(queue=dict(size=4, warmup=3)), build(seed=1, queue=dict(size=4, warmup=3))
    losses_of(model, batch())
    model.queue_region.after_optimizer_step()
    other.load_state_dict(model.state_dict())
    assert (other.queue_region.fill, other.queue_region.num_steps) == (3, 1)
    assert total_of(losses_of(model, batch())) == total_of(losses_of(other, batch()))


def test_losses_gradients_and_boxes_are_the_same_without_mmcvs_ops(monkeypatch):
    outcomes = []
    for problem in (None, 'no ops'):
        monkeypatch.setattr('vadlab.models.layers.roi_align.mmcv_ops_problem', lambda device_type, it=problem: it)
        model = build(grounding_head=GROUND)
        total = total_of(losses_of(model, batch()))
        total.backward()
        predicted = model.eval().val_step(batch())
        boxes = torch.cat([predicted[i].pred_regions.boxes_xyxyn for i in (0, 2)])
        outcomes.append((total.detach(), {k: p.grad for k, p in model.named_parameters() if p.grad is not None}, boxes))
    torch.testing.assert_close(*outcomes, rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------------------------------------------------ predict


def test_predictions_have_the_documented_shapes():
    model = build(score_head=SCORES, grounding_head=GROUND).eval()
    out = model.val_step(batch())
    for s, n in zip(out, (2, 0, 2), strict=True):
        assert s.pred_scores.shape == (10,)
        torch.testing.assert_close(s.pred_scores, s.pred_logits.sigmoid())
        for embed in (s.pred_video_embed, s.pred_caption_embed):
            assert embed.norm().item() == pytest.approx(1, abs=1e-5)
        assert s.pred_regions.embeds.shape == s.pred_regions.caption_embeds.shape == (n, 8)
    found = out[0].pred_regions
    assert found.boxes_xyxyn.shape == (2, T, 4)
    assert found.box_scores.shape == (2, T)
    assert not found.embeds.requires_grad


def test_region_without_a_frame_has_a_zero_embedding():
    out = build().eval().val_step(batch())
    assert not out[2].pred_regions.embeds[0].any()
    assert out[2].pred_regions.embeds[1].norm().item() == pytest.approx(1, abs=1e-5)


def test_masked_mean_of_a_region_has_the_direction_of_the_mean_with_zeros():
    """So after the normalisation, masked pooling and plain mean pooling of absent frames as zeros are the same."""
    torch.manual_seed(0)
    valid = torch.rand(5, 7) < 0.5
    valid[:, 0] = True
    pooled = torch.randn(5, 7, 16) * valid[..., None]
    model = build()
    masked, _ = model.region_pooling(pooled, valid)
    plain = model.roi_projection(pooled.mean(dim=1))
    torch.testing.assert_close(F.normalize(model.roi_projection(masked), dim=-1), F.normalize(plain, dim=-1))


def test_predictions_equal_a_plain_loop():
    model = build(score_head=SCORES).eval()
    data = batch()
    out = model.val_step(data)
    with torch.no_grad():
        cls, _ = model.vision(model.data_preprocessor(data)['inputs'][1])
        frames = F.normalize(model.visual_projection(cls), dim=-1)
        logits = []
        for phrase in ('a', 'b', 'c d'):
            texts = [f.format(phrase) for f in ('{}', 'a surveillance video of {}', 'a video frame showing {}')]
            tokens = [torch.tensor(LetterTokenizer().encode(x, 24)) for x in texts]
            embeds = F.normalize(model.text_projection(model.text(tokens)), dim=-1)
            logits.append(model.logit_scale.exp() * frames @ F.normalize(embeds.mean(0), dim=0))
        logits = logits[2] - torch.logaddexp(logits[0], logits[1])
    wanted = np.interp(np.arange(10), [0, 3, 6, 9], logits)
    np.testing.assert_allclose(out[1].pred_logits, wanted, atol=1e-4)
    classes = out[1].pred_frame_classes
    assert classes.frame_inds.tolist() == [0, 3, 6, 9]
    np.testing.assert_allclose(1 - classes.scores[:, classes.normal], logits.sigmoid(), atol=1e-5)
    torch.testing.assert_close(
        out[1].pred_video_embed, F.normalize(model.visual_projection(cls).mean(0), dim=0), atol=1e-5, rtol=1e-5
    )


def test_cells_score_every_frame():
    """Oracle: the dense features of the tower, cell by cell."""
    model = build(score_head={**SCORES, 'cells': 1, 'cell_level': 0.25, 'video_reference': 0.5}).eval()
    data = batch()
    sample = model.val_step(data)[1]
    assert sample.score_normalisation == 'video_reference'
    classes = sample.pred_frame_classes
    abnormal = sample.pred_scores[classes.frame_inds]
    torch.testing.assert_close(1 - classes.scores[:, classes.normal], abnormal)
    found = sample.pred_logits
    with torch.no_grad():
        frames = model.data_preprocessor(data)['inputs'][1]
        _, dense = model.vision(frames, torch.ones(len(frames), dtype=torch.bool))
        prompt = model._encode_prompts()[2]  # the only one that is not normal
        best = []
        for map_dhw in dense:
            cells = [
                map_dhw[:, i : i + 2, j : j + 2].mean((1, 2))
                for i in range(map_dhw.shape[1] - 1)
                for j in range(map_dhw.shape[2] - 1)
            ]
            cosines = F.normalize(model.roi_projection(torch.stack(cells)), dim=-1) @ prompt
            best.append(cosines.max())
        usual = np.quantile(torch.stack(best), 0.25)
        logits = model.logit_scale_finegrained.exp() * (torch.stack(best) - 0.5 * usual - 0.25)
        wanted = np.interp(np.arange(10), [0, 3, 6, 9], logits)
        np.testing.assert_allclose(found, wanted, atol=1e-4)
        logits, classes = model.score_embeds(model.embed_frames(frames))
    np.testing.assert_allclose(np.interp(np.arange(10), [0, 3, 6, 9], logits), wanted, atol=1e-4)
    torch.testing.assert_close(classes, torch.stack([(-logits).sigmoid(), logits.sigmoid()], dim=1))
    with pytest.raises(ConfigError, match='not compared with negatives'):
        model.use_prompts(['smoke'], ['people'])


def test_score_prompts_are_encoded_once_in_a_test_and_again_in_the_next(monkeypatch):
    model, calls = build(score_head=SCORES).eval(), []
    encode = model._encode_prompts
    monkeypatch.setattr(model, '_encode_prompts', lambda: calls.append(1) or encode())
    inputs, sample = torch.randn(1, T, 3, 16, 16), VADDataSample()

    def logits():
        return model.predict(inputs, [sample])[0].pred_logits.clone()

    with steady_weights():
        before = logits()
        assert torch.equal(logits(), before)
    assert len(calls) == 1
    model.text_projection.weight.data.mul_(-1.0)
    with steady_weights():
        assert not torch.allclose(logits(), before)
    assert len(calls) == 2


def test_videos_without_annotation_are_scored():
    model = build(score_head=SCORES, grounding_head=GROUND).eval()
    out = model.val_step(dict(inputs=batch()['inputs'], data_samples=[VADDataSample() for _ in range(3)]))
    assert out[0].pred_scores.shape == (T,)
    assert 'pred_caption_embed' not in out[0]


def test_tensor_mode_needs_no_annotation():
    model = build()
    out = model(model.data_preprocessor(batch())['inputs'])
    assert {k: tuple(v.shape) for k, v in out.items()} == {'frame_embeds': (3, T, 8), 'video_embeds': (3, 8)}


def test_unknown_mode_and_missing_samples_are_rejected():
    model, inputs = build(), torch.zeros(1, T, 3, 16, 16)
    with pytest.raises(ValueError, match="mode='train' is not one of"):
        model(inputs, [], mode='train')
    with pytest.raises(ValueError, match='one data sample for each of 1 videos'):
        model(inputs, [], mode='loss')


def test_diagnostics_by_hand():
    model = build(queue=dict(size=4))
    assert 'global/positives_mean' not in model.diagnostics()
    model.collect_diagnostics = True
    losses_of(model, batch())
    found = model.diagnostics()
    out = build().eval().val_step(batch())
    cosines = torch.stack([s.pred_video_embed for s in out]) @ torch.stack([s.pred_caption_embed for s in out]).T
    assert found['global/positives_mean'] == pytest.approx(cosines.diagonal().mean().item() / 0.07, abs=1e-3)
    assert found['global/negatives_max'] == pytest.approx(cosines.fill_diagonal_(-9).max().item() / 0.07, abs=1e-3)
    assert found['queue_region/fill'] == 3


@pytest.mark.filterwarnings('ignore:.*autocast.*')
def test_mixed_precision_on_a_cpu_gives_finite_float32_losses():
    model = build(loss_hard_negative=dict(type='HardNegativeLoss'), queue=dict(size=4, warmup=0))
    for _ in range(2):
        with torch.autocast('cpu', dtype=torch.bfloat16):
            losses = losses_of(model, batch())
        total_of(losses).backward()
    assert all(v.dtype == torch.float32 and v.isfinite() for v in losses.values())
