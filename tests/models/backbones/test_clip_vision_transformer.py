import pytest
import torch

from vadlab.models.backbones.clip_vision_transformer import CLIPVisionTransformer
from vadlab.utils.errors import ConfigError, DataError

MASK = torch.tensor([True, False, True, True, False])


def _tower(**options):
    torch.manual_seed(0)
    return CLIPVisionTransformer(**(dict(image_size=24, patch_size=8, width=16, layers=3, heads=4) | options))


def _frames(n=5):
    return torch.randn(n, 3, 24, 24, generator=torch.Generator().manual_seed(1))


def _plain(tower, frames):
    """Reference: all features of all frames."""
    patches = tower.patch_embedding(frames).flatten(2).transpose(1, 2)
    cls = tower.class_embedding.expand(len(frames), 1, -1)
    x = tower.pre_norm(torch.cat([cls, patches], 1) + tower.positional_embedding)
    for block in tower.blocks[:-1]:
        x = block(x)
    last = tower.blocks[-1]
    width = x.shape[-1]
    value = last.qkv(last.norm1(x))[..., 2 * width :]
    dense = x + last.out(value)
    dense = tower.post_norm(dense + last.fc2(last.act(last.fc1(last.norm2(dense)))))[:, 1:]
    return tower.post_norm(last(x))[:, 0], dense.transpose(1, 2).unflatten(2, (3, 3))


def _loss(cls, dense):
    weight = torch.linspace(-1, 1, cls.numel()).view_as(cls)
    return (cls * weight).sum() + (dense * torch.linspace(-1, 1, dense.numel()).view_as(dense)).sum()


def _grads(tower):
    return {name: p.grad.clone() for name, p in tower.named_parameters()}


@pytest.mark.parametrize('with_cp', [False, True])
@pytest.mark.parametrize('chunk_size', [None, 1, 2, 5, 9])
def test_values_and_gradients_equal_the_plain_computation(chunk_size, with_cp):
    plain = _tower()
    cls, dense = _plain(plain, _frames())
    _loss(cls, dense[MASK]).backward()

    tower = _tower(chunk_size=chunk_size, with_cp=with_cp)
    ours = tower(_frames(), MASK)
    _loss(*ours).backward()
    torch.testing.assert_close(ours[0], cls, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours[1], dense[MASK], rtol=1e-5, atol=1e-5)
    expected = _grads(plain)
    for name, grad in _grads(tower).items():
        torch.testing.assert_close(grad, expected[name], rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f'{n}: {m}')


def test_no_mask_gives_no_dense_features_and_an_empty_mask_gives_none_of_them():
    tower = _tower(chunk_size=2)
    cls, dense = tower(_frames())
    assert dense is None
    assert cls.shape == (5, 16)
    assert tower(_frames(), torch.zeros(5, dtype=torch.bool))[1].shape == (0, 16, 3, 3)
    cls, dense = tower(_frames(0), torch.zeros(0, dtype=torch.bool))
    assert (cls.shape, dense.shape) == ((0, 16), (0, 16, 3, 3))


def test_last_block_attends_for_cls_only_and_dense_features_are_for_masked_frames_only():
    tower = _tower()
    seen = []
    tower.blocks[-1].fc1.register_forward_hook(lambda module, args, out: seen.append(args[0].shape[:-1].numel()))
    tower(_frames())
    tower(_frames(), MASK)
    assert seen == [5, 5, 3 * 9]  # CLS of 5 frames; CLS again, and the 9 patches of 3 frames


def test_checkpointing_keeps_fewer_tensors():
    def kept(with_cp):
        sizes = []
        tower = _tower(with_cp=with_cp, layers=4)
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            tower(_frames(), MASK)
        return sum(sizes)

    # Tensors inside a checkpointed block go through the hooks of the checkpoint, not through these.
    assert kept(True) < 0.4 * kept(False)


def test_bfloat16_autocast_stays_close():
    tower = _tower().eval()
    with torch.no_grad():
        exact = tower(_frames(), MASK)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            rough = tower(_frames(), MASK)
    for a, b in zip(exact, rough, strict=True):
        torch.testing.assert_close(b.float(), a, rtol=0.1, atol=0.1)


def test_frames_of_another_size_are_rejected():
    with pytest.raises(DataError, match='frames of 16x24 pixels, but image_size=24'):
        _tower()(torch.zeros(1, 3, 16, 24))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(patch_size=7), 'image_size=24 is not a multiple of patch_size=7'),
        (dict(chunk_size=0), 'chunk_size=0; give at least 1'),
        (dict(layers=0), 'layers=0; at least 1'),
        (dict(heads=3), 'width=16 is not a multiple of heads=3'),
    ],
)
def test_invalid_sizes_are_rejected(options, message):
    with pytest.raises(ConfigError, match=message):
        _tower(**options)


@pytest.mark.parametrize('with_cp', [False, True])
def test_weight_gradients_of_a_block_are_done_before_the_block_below_starts(with_cp):
    tower = _tower(chunk_size=1, with_cp=with_cp)
    events = []
    for i, block in enumerate(tower.blocks):
        block.fc1.weight.register_post_accumulate_grad_hook(lambda _, i=i: events.append(i))
    # Runs in the forward pass of block 0's first chunk; its gradient arrives at the start of block 0's backward pass.
    tower.blocks[0].register_forward_hook(
        lambda module, args, out: out.register_hook(lambda grad: events.append('block 0')) and None
    )
    _loss(*tower(_frames(), MASK)).backward()
    assert events.index(2) < events.index(1) < events.index('block 0') < events.index(0)
