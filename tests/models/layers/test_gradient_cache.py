"""The gradient cache. Oracle: the same model on the same batch, encoded at once, with autograd's own gradients."""

from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.structures import InstanceData
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

from tests.gloo_ranks import end_rank
from vadlab.models.data_preprocessors.vad_data_preprocessor import WaitingVideos
from vadlab.models.layers import gradient_cache
from vadlab.models.layers.gradient_cache import GradientCache
from vadlab.registry import MODELS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError

VISION = dict(type='CLIPVisionTransformer', image_size=16, patch_size=8, width=16, layers=2, heads=2)
TEXT = dict(
    type='CLIPTextTransformer', vocab_size=64, context_length=24, long_context_length=40, width=12, layers=2, heads=2
)
FRAMES = 3
KINDS = ('CLIP', 'FGCLIP')


def build(kind, chunk=None, count=6, vision=None, text=None, **options):
    """CLIP or FG-CLIP with hard negatives and a queue that is used from its first entry."""
    torch.manual_seed(0)
    if kind == 'FGCLIP':
        queue = dict(size=5, warmup=0)
        options = dict(loss_hard_negative=dict(type='HardNegativeLoss'), queue=queue, queue_global=True) | options
    else:
        text = dict(long_context_length=None) | (text or {})
    if chunk is not None:
        options['gradient_cache'] = dict(contrast_batch=count, chunk=chunk)
    return MODELS.build(
        dict(
            type=kind,
            vision=VISION | (vision or {}),
            text=TEXT | (text or {}),
            embed_dim=8,
            data_preprocessor=MODELS.build(dict(type='VADDataPreprocessor')),
            **options,
        )
    )


def batch(count, seed=0, frames=FRAMES):
    """Videos with none to three regions, some without a frame, some with negatives; captions repeat, one is long."""
    generator = torch.Generator().manual_seed(seed)

    def text(length):
        return torch.tensor([1, *torch.randint(3, 9, (length,), generator=generator).tolist(), 2])

    videos, samples = [], []
    for number in range(count):
        videos.append(torch.randint(0, 256, (frames, 3, 16, 16), dtype=torch.uint8, generator=generator))
        sample = VADDataSample(metainfo=dict(video_id=f'v{number}', total_frames=frames))
        sample.gt_caption_tokens = text(30 if number == 1 else 1 + number % 3)
        regions = (number * 2) % 4
        corner = torch.rand(regions, frames, 2, generator=generator) * 0.5
        sample.gt_regions = InstanceData(
            tokens=[text(2) for _ in range(regions)],
            negative_tokens=[[text(2) for _ in range((number + r) % 3)] for r in range(regions)],
            boxes_xyxyn=torch.cat([corner, corner + 0.4], dim=-1),
            box_valid=torch.rand(regions, frames, generator=generator) < 0.7,
        )
        samples.append(sample)
    return dict(inputs=videos, data_samples=samples)


def losses_of(model, data):
    terms = model(**model.data_preprocessor(data, True), mode='loss')
    return terms, sum(value for name, value in terms.items() if name.startswith('loss'))


def gradients(model, steps=2, count=6):
    """Gradients and loss terms of the last of several batches; the first ones fill the queue."""
    for step in range(steps):
        model.zero_grad()
        terms, total = losses_of(model, batch(count, seed=step))
        total.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}, terms


def assert_equal(found, wanted, tolerance=1e-5):
    """Up to a share of a tensor's largest value (of 1, if that is smaller)."""
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        limit = tolerance * max(1.0, value.abs().max().item())
        torch.testing.assert_close(found[name], value, atol=limit, rtol=0, msg=lambda m, n=name: f'{n}: {m}')


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize(('count', 'chunk'), [(2, 1), (6, 1), (6, 2), (6, 3), (6, 6), (5, 2), (8, 4), (7, 3)])
def test_loss_and_every_gradient_equal_the_whole_batch(kind, count, chunk):
    wanted, terms = gradients(build(kind), count=count)
    found, ours = gradients(build(kind, chunk, count=-(-count // chunk) * chunk), count=count)
    assert_equal(found, wanted)
    assert_equal({k: v.detach() for k, v in ours.items()}, {k: v.detach() for k, v in terms.items()})
    assert all(value.abs().sum() > 0 for name, value in wanted.items() if 'positional_embedding_long' not in name)


def test_queues_hold_the_same_pairs():
    models = build('FGCLIP'), build('FGCLIP', 2)
    for model in models:
        gradients(model, steps=3)
    queues = [{name: b for name, b in model.named_buffers() if 'queue' in name} for model in models]
    assert queues[0]['queue_region.counters'][0] > 5
    assert_equal(queues[1], queues[0])


@pytest.mark.parametrize('kind', KINDS)
def test_number_of_negatives_is_in_the_log(kind):
    _, terms = gradients(build(kind, 2), steps=1)
    if kind == 'CLIP':
        assert terms['image_negatives'] == 5
    else:
        regions = sum(int(s.gt_regions.box_valid.any(1).sum()) for s in batch(6)['data_samples'])
        assert (terms['video_negatives'], terms['region_negatives']) == (5, regions - 1)  # the queue is still empty
        _, terms = gradients(build(kind, 2), steps=2)
        assert terms['video_negatives'] == 5 + 5


@pytest.mark.parametrize('kind', KINDS)
def test_with_activation_checkpointing_and_frames_in_chunks(kind):
    wanted, _ = gradients(build(kind))
    found, _ = gradients(build(kind, 2, vision=dict(with_cp=True, chunk_size=2), text=dict(with_cp=True)))
    assert_equal(found, wanted)


@pytest.mark.parametrize('kind', KINDS)
def test_in_double_precision_gradients_are_equal_to_1e_11(kind):
    models = [build(kind, chunk).double() for chunk in (None, 2)]
    for model in models:
        model.data_preprocessor._normalise = lambda videos: torch.stack(videos).double() / 100
    (wanted, _), (found, _) = map(gradients, models)
    # all but 0.2 % of the summation error of float32 is gone: what is left is not a missing term
    assert_equal(found, wanted, 1e-6 if kind == 'CLIP' else 1e-11)


def test_mixed_precision():
    with torch.autocast('cpu', dtype=torch.bfloat16):
        (wanted, terms), (found, ours) = (gradients(build('FGCLIP', chunk)) for chunk in (None, 2))
    assert ours['loss_global'].item() == pytest.approx(terms['loss_global'].item(), abs=2e-2)
    for name, value in wanted.items():
        error = (found[name] - value).norm() / value.norm()
        assert error < 0.05, (name, error)  # bfloat16 has 8 bits; sums over chunks round elsewhere


def test_accumulated_batches_add_up():
    sums = []
    for chunk in (None, 2):
        model = build('FGCLIP', chunk)
        for step in range(2):
            (losses_of(model, batch(6, seed=step))[1] / 2).backward()
        sums.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert_equal(sums[1], sums[0])


@pytest.mark.parametrize('kind', KINDS)
def test_dropout_is_drawn_the_same_both_times(kind):
    """Oracle: the chunks encoded one after the other with their graphs kept, so that each draws once."""
    results = []
    for cache in (GradientCache(6, 2), EncodeOnce(6, 2)):
        model = build(kind, 2)
        model.vision.pre_norm = nn.Sequential(model.vision.pre_norm, nn.Dropout(0.3))
        model.text.final_norm = nn.Sequential(model.text.final_norm, nn.Dropout(0.3))
        model.gradient_cache = cache
        torch.manual_seed(5)
        results.append((*gradients(model, steps=1), torch.rand(3)))
    (found, terms, drawn), (wanted, _, wanted_drawn) = results
    assert_equal(found, wanted)
    assert torch.equal(drawn, wanted_drawn)  # backward leaves the generator as it was
    torch.manual_seed(6)
    other = build(kind, 2)
    assert terms.keys() == gradients(other, steps=1)[1].keys()


class EncodeOnce(GradientCache):
    """Every chunk keeps its graph: no second pass."""

    def over_samples(self, encode, count, device):
        parts = [encode(i, min(i + self.chunk, count)) for i in range(0, count, self.chunk)]
        return tuple(torch.cat(rows) for rows in zip(*parts, strict=True))

    def over_texts(self, encode, tokens, paths, count, device):
        kept, gradient_cache.checkpoint = gradient_cache.checkpoint, lambda call, **_: call()
        try:
            return super().over_texts(encode, tokens, paths, count, device)
        finally:
            gradient_cache.checkpoint = kept


def test_only_the_pixels_of_one_chunk_are_on_the_device():
    model, seen = build('FGCLIP', 2), []
    original = model.data_preprocessor._normalise
    model.data_preprocessor._normalise = lambda videos: (seen.append(len(videos)), original(videos))[1]
    data = model.data_preprocessor(batch(6), True)
    assert isinstance(data['inputs'], WaitingVideos)
    assert seen == []
    model(**data, mode='loss')['loss_global'].backward()
    assert seen == [2, 2, 2, 2, 2, 2]  # each chunk twice
    assert torch.is_tensor(model.data_preprocessor(batch(2), False)['inputs'])  # a validation is as before


class LiveBytes(TorchDispatchMode):
    """The most bytes that were alive at once, of all results of torch's operations."""

    def __init__(self):
        super().__init__()
        self.alive, self.peak = {}, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in torch.utils._pytree.tree_leaves(out):
            if torch.is_tensor(tensor):
                storage = tensor.untyped_storage()
                self.alive[StorageWeakRef(storage)] = storage.nbytes()
        self.alive = {ref: size for ref, size in self.alive.items() if not ref.expired()}
        self.peak = max(self.peak, sum(self.alive.values()))
        return out


def test_memory_is_that_of_one_chunk():
    def peak(chunk, count):
        options = dict(queue=None, queue_global=False, loss_hard_negative=None)
        model = build('FGCLIP', chunk, count, **options)
        data = batch(count, frames=16)
        for sample in data['data_samples']:
            sample.gt_caption_tokens = torch.tensor([1, 2])
            sample.gt_regions = sample.gt_regions[torch.zeros(0, dtype=torch.long)]
        with LiveBytes() as live:
            losses_of(model, data)[1].backward()
        return live.peak

    of_one, of_four, at_once = peak(2, 2), peak(2, 8), peak(None, 8)
    assert at_once > 2 * of_one
    assert of_four < 1.15 * of_one


@pytest.mark.parametrize('kind', KINDS)
def test_validation_of_the_loss_needs_no_gradient(kind):
    model = build(kind, 2)
    with torch.no_grad():
        terms, _ = losses_of(model, batch(6))
    wanted, _ = losses_of(build(kind), batch(6))
    assert_equal(terms, {name: value.detach() for name, value in wanted.items()})


# ---- ranks ----------------------------------------------------------------------------------------------------------


def _train_rank(rank, world, path, kind):
    dist.init_process_group('gloo', f'file://{path}/store', rank=rank, world_size=world, timeout=timedelta(seconds=120))
    torch.set_num_threads(1)
    model = build(kind, 1, count=3)
    wrapped = DistributedDataParallel(model, broadcast_buffers=False)
    for step in range(2):
        model.zero_grad()
        data = {name: values[rank * 3 : rank * 3 + 3] for name, values in batch(6, seed=step).items()}
        terms = wrapped(**model.data_preprocessor(data, True), mode='loss')
        sum(value for name, value in terms.items() if name.startswith('loss')).backward()
    grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    torch.save([grads, {k: v.detach() for k, v in terms.items()}], f'{path}/{rank}.pth')
    end_rank()


@pytest.mark.slow
@pytest.mark.parametrize('kind', KINDS)
def test_two_ranks_equal_one_process_without_gradient_cache(tmp_path, kind):
    mp.spawn(_train_rank, args=(2, str(tmp_path), kind), nprocs=2)
    wanted, terms = gradients(build(kind))
    for rank in range(2):
        found, ours = torch.load(tmp_path / f'{rank}.pth')
        assert_equal(found, wanted)
        name = 'image_negatives' if kind == 'CLIP' else 'video_negatives'
        assert ours[name] == terms[name]


# ---- parts, and what cannot be used ---------------------------------------------------------------------------------


def test_equal_texts_are_encoded_once_and_lengths_are_grouped():
    seen = []

    def encode(tokens, paths):
        seen.append([len(t) for t in tokens])
        return torch.stack(
            [t.sum().float() * (10 if path == 'x' else 1) for t, path in zip(tokens, paths, strict=True)]
        )

    tokens = [torch.tensor(t) for t in ([1, 2], [1, 2, 3], [1, 2], [4], [1, 2], [9])]
    out = GradientCache(4, 2).over_texts(encode, tokens, ['short'] * 4 + ['x', 'short'], 4, torch.device('cpu'))
    assert out.tolist() == [3, 6, 3, 4, 30, 9]
    assert seen == [[1, 1, 2], [3, 2]]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(contrast_batch=64, chunk=3), r'contrast_batch=64 is not a multiple of chunk=3\. .*63 or 66'),
        (dict(contrast_batch=2, chunk=4), 'chunk=4 is larger than contrast_batch=2'),
        (dict(contrast_batch=0, chunk=1), 'contrast_batch must be >= 1'),
        (dict(contrast_batch=4, chunk=0), 'chunk must be >= 1'),
    ],
)
@pytest.mark.parametrize('kind', KINDS)
def test_sizes_that_cannot_be_used_are_one_message_before_training(kind, options, message):
    with pytest.raises(ConfigError, match=message):
        build(kind, gradient_cache=options)


def test_a_batch_smaller_than_contrast_batch_is_a_warning(monkeypatch):
    said = []
    monkeypatch.setattr(gradient_cache, 'print_log', lambda text, **_: said.append(text))
    model = build('CLIP', 2, count=8)
    losses_of(model, batch(4))
    losses_of(model, batch(4))
    (text,) = said
    assert 'contrast_batch=8, but the first batch has 4 samples' in text
