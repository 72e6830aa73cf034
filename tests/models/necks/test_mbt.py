import pytest
import torch

from vadlab.models.layers.modality_tokens import ModalityTokens
from vadlab.models.necks.mbt import MBT
from vadlab.utils.errors import ConfigError


def small(**options):
    torch.manual_seed(0)
    return MBT({'video': 6, 'audio': 5}, **{**dict(width=8, heads=2, bottlenecks=3), **options}).eval()


def tokens(rows=None, n=4, seed=1):
    generator = torch.Generator().manual_seed(seed)
    m = 3 if rows is None else len(rows)
    return ModalityTokens(torch.randn(m, n, 6, generator=generator), rows, grid=(n,))


def sound(rows=None, n=5, valid=None, seed=2):
    generator = torch.Generator().manual_seed(seed)
    m = 3 if rows is None else len(rows)
    return ModalityTokens(torch.randn(m, n, 5, generator=generator), rows, valid, (n,))


def reference(block, heads=2):
    """The same layer from torch, with the block's weights."""
    layer = torch.nn.TransformerEncoderLayer(8, heads, 32, 0.0, 'gelu', batch_first=True, norm_first=True)
    attention = layer.self_attn
    for theirs, ours in ((layer.norm1, block.norm1), (layer.norm2, block.norm2), (layer.linear1, block.fc1),
                         (layer.linear2, block.fc2), (attention.out_proj, block.out)):  # fmt: skip
        theirs.load_state_dict(ours.state_dict())
    attention.in_proj_weight.data, attention.in_proj_bias.data = block.qkv.weight.data, block.qkv.bias.data
    return layer  # in training mode, without dropout: torch's slow path, which equals the formula


def test_bottleneck_step_equals_a_few_lines_with_torch_layers():
    model = small()
    found = {'video': tokens(), 'audio': sound()}
    state = {name: model.embed(name, part) for name, part in found.items()}
    before = dict(state)
    incoming = model.bottleneck.expand(3, -1, -1)
    outgoing = model.layer(0, state, incoming, found)

    # Equations 8 and 9: each modality with the same incoming bottleneck, then the mean of both updates.
    video = reference(model.layers['video'][0])(torch.cat([before['video'], incoming], 1))
    audio = reference(model.layers['audio'][0])(torch.cat([before['audio'], incoming], 1))
    torch.testing.assert_close(outgoing, (video[:, -3:] + audio[:, -3:]) / 2)
    torch.testing.assert_close(state['video'], video[:, :-3])
    torch.testing.assert_close(state['audio'], audio[:, :-3])


def test_clip_without_sound_does_not_depend_on_the_batch():
    model = small(fusion_layer=1, layers=3)
    both = model({'video': tokens(), 'audio': sound(torch.tensor([0, 2]))}, 3)
    alone = model({'video': ModalityTokens(tokens().tokens[1:2], grid=(4,))}, 1)
    torch.testing.assert_close(both[1:2], alone, rtol=0, atol=1e-6)
    other = model({'video': tokens(), 'audio': sound(torch.tensor([0, 2]), seed=9)}, 3)
    torch.testing.assert_close(other[1], both[1], rtol=0, atol=1e-6)
    assert not torch.allclose(other[0], both[0])


def test_clip_without_modalities_is_zeros():
    out = small()({'video': tokens(torch.tensor([0, 2]))}, 3)
    assert out[1].tolist() == [0.0] * 8
    assert out[0].abs().sum() > 0


@pytest.mark.parametrize('readout', ['cls', 'mean'])
def test_padding_is_masked(readout):
    model = small(readout=readout)
    valid = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True] * 5])
    padded = sound(valid=valid)
    out = model({'audio': padded}, 3)
    alone = model({'audio': ModalityTokens(padded.tokens[1:2, :3], grid=(3,))}, 1)
    torch.testing.assert_close(out[1:2], alone, rtol=0, atol=1e-6)


def test_modalities_exchange_information_only_through_bottlenecks():
    model = small(layers=3, fusion_layer=1)
    video, audio = tokens(), sound()
    audio.tokens.requires_grad_()
    found = {'video': video, 'audio': audio}
    state = {name: model.embed(name, part) for name, part in found.items()}
    bottleneck = model.layer(0, state, model.bottleneck.expand(3, -1, -1), found)
    # After one layer, the tokens of a modality do not depend on the other modality, ...
    (gradient,) = torch.autograd.grad(state['video'].sum(), audio.tokens, allow_unused=True, retain_graph=True)
    assert gradient is None
    # ... also with the initial bottleneck, ...
    after = dict(state)
    bottleneck = model.layer(1, after, bottleneck, found)
    (gradient,) = torch.autograd.grad(after['video'].square().sum(), audio.tokens, allow_unused=True, retain_graph=True)
    assert gradient is None
    # ... but the bottleneck does, and so do tokens that attend to it next.
    later = dict(after)
    model.layer(2, later, bottleneck, found)
    (gradient,) = torch.autograd.grad(later['video'].square().sum(), audio.tokens, retain_graph=True)
    assert gradient.abs().sum() > 0
    # There is no other path.
    later = dict(after)
    model.layer(2, later, bottleneck.detach(), found)
    (gradient,) = torch.autograd.grad(later['video'].square().sum(), audio.tokens, allow_unused=True)
    assert gradient is None


def test_layers_before_the_fusion_layer_equal_a_plain_transformer():
    model = small(layers=2, fusion_layer=1)
    found = {'video': tokens(), 'audio': sound()}
    state = {name: model.embed(name, part) for name, part in found.items()}
    expected = reference(model.layers['video'][0])(state['video'])
    incoming = model.bottleneck.expand(3, -1, -1)
    assert model.layer(0, state, incoming, found) is incoming
    torch.testing.assert_close(state['video'], expected)


def test_mean_of_logits_equals_logits_of_the_mean():
    model = small()
    classifier = torch.nn.Linear(8, 4)
    found = {'video': tokens(), 'audio': sound()}
    read = []
    original = model._read
    model._read = lambda *args: read.append(original(*args)) or read[-1]
    fused = model(found, 3)
    torch.testing.assert_close(classifier(fused), (classifier(read[0]) + classifier(read[1])) / 2)


def test_every_weight_gets_a_gradient():
    model = small(layers=2, fusion_layer=1).train()
    model({'video': tokens(), 'audio': sound()}, 3).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize('readout', ['cls', 'mean'])
def test_attention_of_one_layer_is_what_the_readout_attends_to(readout):
    model = small(layers=1, readout=readout)
    valid = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True] * 5])
    found = {'video': tokens(), 'audio': sound(valid=valid)}
    weights = model.attention(found, 3)
    assert weights['video'].shape == (3, 4)
    assert weights['audio'].shape == (3, 5)
    assert weights['audio'][1, 3:].tolist() == [0, 0]
    torch.testing.assert_close(weights['audio'].sum(1), torch.ones(3))
    joint = torch.cat([model.embed('video', found['video']), model.bottleneck.expand(3, -1, -1)], 1)
    layer = reference(model.layers['video'][0])
    _, seen = layer.self_attn(*[layer.norm1(joint)] * 3)
    if readout == 'cls':
        expected = seen[:, 0, 1:5]
    else:  # half of the attention is the residual path
        expected = ((seen[:, :4, :4] + torch.eye(4)) / 2).mean(1)
    torch.testing.assert_close(weights['video'], expected / expected.sum(1, keepdim=True))


def test_order_of_tokens_matters_only_with_positions():
    for positions in (True, False):
        model = small(positions=positions)
        turned = ModalityTokens(tokens().tokens.flip(1), grid=(4,))
        same = torch.allclose(model({'video': tokens()}, 3), model({'video': turned}, 3), atol=1e-5)
        assert same is not positions


def test_invalid_numbers_are_rejected():
    with pytest.raises(ConfigError, match='fusion_layer=2 must be in 0..layers - 1 = 1'):
        small(fusion_layer=2)
    with pytest.raises(ConfigError, match='must be cls or mean'):
        small(readout='max')
