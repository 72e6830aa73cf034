import math

import pytest
import torch
import torch.nn.functional as F

from vadlab.models.captioners.grid_encoder import GridEncoder, relative_boxes
from vadlab.utils.errors import ConfigError


def _encoder(**options):
    torch.manual_seed(0)
    settings = dict(grid_size=3, in_channels=6, embed_dim=4, width=8, layers=2, heads=2, ffn_width=16)
    return GridEncoder(**{**settings, **options}).eval()


def _waves_of_two_cells(m, n, grid_size):
    """Formula of Hu et al., 2018, for one pair of cells, from their boxes."""
    boxes = []
    for cell in (m, n):
        y, x = divmod(cell, grid_size)
        side = 1 / grid_size
        boxes.append((x * side + side / 2, y * side + side / 2, side, side))
    (xm, ym, wm, hm), (xn, yn, wn, hn) = boxes
    relation = [
        math.log(max(abs(xm - xn) / wm, 1e-3)),
        math.log(max(abs(ym - yn) / hm, 1e-3)),
        math.log(wn / wm),
        math.log(hn / hm),
    ]
    angles = [100 * value / 1000 ** (k / 8) for value in relation for k in range(8)]
    return [math.sin(a) for a in angles] + [math.cos(a) for a in angles]


@pytest.mark.parametrize(('m', 'n'), [(0, 0), (0, 5), (7, 2), (8, 0)])
def test_relative_boxes_equal_the_published_formula_of_two_boxes(m, n):
    found = relative_boxes(3)
    assert found.shape == (9, 9, 64)
    torch.testing.assert_close(found[m, n], torch.tensor(_waves_of_two_cells(m, n, 3)), atol=2e-5, rtol=0)


def test_geometry_bias_is_the_log_of_the_positive_part_of_a_learnt_weight():
    encoder = _encoder()
    weight, bias = encoder.geometry.weight.detach(), encoder.geometry.bias.detach()
    found = encoder.geometry_bias().detach()
    assert found.shape == (2, 9, 9)
    for head, m, n in ((0, 0, 0), (1, 4, 8), (0, 3, 7)):
        value = float(weight[head] @ encoder.relations[m, n] + bias[head])
        assert float(found[head, m, n]) == pytest.approx(math.log(max(value, 1e-6)), abs=1e-4)
    assert (found == found.min()).any(), 'some pair should be cut off, else the test shows little'


def test_a_layer_equals_attention_written_out():
    encoder = _encoder(layers=1)
    visual, text = torch.randn(2, 9, 8), torch.randn(2, 9, 4)
    found = encoder(visual, text)

    layer, attention = encoder.layers[0], encoder.layers[0].attention
    words, where, bias = encoder.text_embed(text), encoder.positions, encoder.geometry_bias()
    query, key = attention.query(visual + where), attention.key(words + where)
    value = attention.value(words)
    heads = []
    for h in range(2):
        part = slice(4 * h, 4 * h + 4)
        logits = query[..., part] @ key[..., part].transpose(1, 2) / 2 + bias[h]  # 2 is the root of 4 channels
        heads.append(logits.softmax(-1) @ value[..., part])
    x = F.layer_norm(visual + attention.out(torch.cat(heads, -1)), (8,), layer.norm1.weight, layer.norm1.bias)
    expected = F.layer_norm(x + layer.ffn(x), (8,), layer.norm2.weight, layer.norm2.bias)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_the_visual_grid_starts_from_patch_and_global_feature():
    encoder = _encoder()
    patches, whole = torch.randn(2, 9, 6), torch.randn(2, 4)
    linear, norm = encoder.att_embed[0], encoder.att_embed[3]
    x = F.celu(linear(torch.cat([patches[1, 5], whole[1]])), alpha=1.3)
    expected = F.layer_norm(x, (8,), norm.weight, norm.bias)
    torch.testing.assert_close(encoder.embed(patches, whole)[1, 5], expected)


def test_constants_of_the_grid_are_not_in_checkpoints():
    assert not {'positions', 'relations'} & set(_encoder().state_dict())


def test_sizes_are_checked():
    with pytest.raises(ConfigError, match='layers=0'):
        _encoder(layers=0)
    with pytest.raises(ConfigError, match='width=8 is not a multiple of heads=3'):
        _encoder(heads=3)


def test_normalised_positions_equal_the_published_formula_for_one_cell():
    encoder = _encoder(positions='normalised', grid_size=3, width=8)
    row, column = 1, 2  # counted from 1, of 3, on a side of length 2 pi
    expected = []
    for place in (row + 1, column + 1):
        for length in (1, 10000 ** (1 / 2)):
            angle = place / 3 * 2 * math.pi / length
            expected += [math.sin(angle), math.cos(angle)]
    assert encoder.positions[row * 3 + column].tolist() == pytest.approx(expected, abs=1e-5)
    assert encoder.positions.shape == _encoder().positions.shape
    with pytest.raises(ConfigError, match="positions='learnt' is neither 'index' nor 'normalised'"):
        _encoder(positions='learnt')


def test_the_norm_of_the_text_grid_can_be_applied_to_the_visual_grid():
    plain, both = _encoder(), _encoder(norm_visual=True)
    norm = both.text_embed[-1]
    torch.nn.init.normal_(norm.weight)
    plain.load_state_dict(both.state_dict())
    visual, text = torch.randn(2, 9, 8), torch.randn(2, 9, 4)
    torch.testing.assert_close(both(visual, text), plain(norm(visual), text))
    assert not torch.allclose(both(visual, text), plain(visual, text))
