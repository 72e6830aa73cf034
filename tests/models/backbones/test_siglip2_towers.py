"""Both towers of SigLIP 2, with transformers' own models as the oracle."""

import pytest
import torch
import torch.nn.functional as F
from transformers import Siglip2TextConfig, Siglip2TextModel, Siglip2VisionConfig, Siglip2VisionModel

from vadlab.models.backbones.siglip2_text_transformer import SigLIP2TextTransformer
from vadlab.models.backbones.siglip2_vision_transformer import DenseFeatureHead, SigLIP2VisionTransformer
from vadlab.models.layers.siglip2_blocks import siglip2_config
from vadlab.utils.errors import ConfigError, DataError

SIZES = dict(hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=3)
OURS = dict(width=24, layers=2, heads=3, mlp_ratio=2.0)


def randomise(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = 0.2 * torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1 + noise if 'norm' in name and name.endswith('weight') else noise)
    return model.eval()


@pytest.fixture(scope='module')
def vision():
    """Our tower with the weights of transformers' model, and that model."""
    theirs = randomise(Siglip2VisionModel(Siglip2VisionConfig(**SIZES, patch_size=4, num_patches=9)))
    ours = SigLIP2VisionTransformer(patch_size=4, num_patches=9, **OURS)
    with torch.no_grad():
        embeddings = theirs.embeddings
        weight = embeddings.patch_embedding.weight  # over rows, columns and channels of a patch
        ours.patch_embedding.weight.copy_(weight.unflatten(1, (4, 4, 3)).permute(0, 3, 1, 2))
        ours.patch_embedding.bias.copy_(embeddings.patch_embedding.bias)
        ours.positional_embedding.copy_(embeddings.position_embedding.weight)
    ours.blocks.load_state_dict(theirs.encoder.layers.state_dict())
    ours.post_norm.load_state_dict(theirs.post_layernorm.state_dict())
    ours.pool.load_state_dict(theirs.head.state_dict())
    return ours.eval(), theirs


def patches_of(frame, size, most):
    """Patches of a frame, row by row, padded; and the mask."""
    rows = [
        frame[:, y : y + size, x : x + size].permute(1, 2, 0).flatten()
        for y in range(0, frame.shape[1], size)
        for x in range(0, frame.shape[2], size)
    ]
    padded = torch.zeros(most, len(rows[0]))
    padded[: len(rows)] = torch.stack(rows)
    return padded, torch.arange(most) < len(rows)


@torch.no_grad()
def test_pooled_features_equal_transformers_with_padding_for_any_aspect_ratio(vision):
    ours, theirs = vision
    grids = [(3, 3), (2, 5), (1, 7), (4, 2)]
    frames = [torch.randn(3, 4 * h, 4 * w, generator=torch.Generator().manual_seed(h)) for h, w in grids]
    padded, masks = zip(*(patches_of(frame, 4, 12) for frame in frames), strict=True)
    wanted = theirs(torch.stack(padded), torch.stack(masks).int(), torch.tensor(grids)).pooler_output
    found = torch.cat([ours(frame[None])[0] for frame in frames])
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_dense_features_equal_attention_written_out():
    head = randomise(DenseFeatureHead(siglip2_config('vision', 24, 1, 3, 2.0)), 1).double()
    x = torch.randn(2, 5, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    query, key, value = F.linear(x, head.attention.in_proj_weight, head.attention.in_proj_bias).chunk(3, dim=-1)
    mixed = torch.zeros_like(x)
    for n in range(2):
        for h in range(3):
            own = slice(8 * h, 8 * h + 8)
            weights = (query[n, :, own] @ key[n, :, own].T / 8**0.5).softmax(-1)
            mixed[n, :, own] = weights @ value[n, :, own]
    mixed = F.linear(mixed, head.attention.out_proj.weight, head.attention.out_proj.bias)
    norm = F.layer_norm(mixed, (24,), head.layernorm.weight, head.layernorm.bias, 1e-6)
    hidden = F.linear(norm, head.mlp.fc1.weight, head.mlp.fc1.bias)
    wanted = mixed + F.linear(F.gelu(hidden, approximate='tanh'), head.mlp.fc2.weight, head.mlp.fc2.bias)
    torch.testing.assert_close(head(x), wanted)


def test_dense_features_are_of_the_frames_in_the_mask_in_grid_order(vision):
    ours, _ = vision
    frames = torch.randn(3, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([True, False, True])
    with torch.no_grad():
        _, dense = ours(frames, mask)
        hidden = ours.patch_embedding(frames[[0, 2]]).flatten(2).transpose(1, 2) + ours.positions(2, 3)
        for block in ours.blocks:
            hidden = block(hidden, None)
        wanted = ours.dense_head(ours.post_norm(hidden))
    assert dense.shape == (2, 24, 2, 3)
    torch.testing.assert_close(dense[1, :, 1, 0], wanted[1, 3])


@pytest.mark.parametrize('options', [dict(chunk_size=1), dict(chunk_size=2, with_cp=True)])
def test_chunks_and_checkpointing_change_neither_features_nor_gradients(vision, options):
    plain, _ = vision
    chunked = SigLIP2VisionTransformer(patch_size=4, num_patches=9, **OURS, **options)
    chunked.load_state_dict(plain.state_dict())
    frames = torch.randn(3, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([False, True, True])
    found = []
    for model in (plain, chunked):
        model.zero_grad()
        pooled, dense = model(frames, mask)
        (pooled.square().sum() + dense.square().sum()).backward()
        found.append([pooled, dense, *(p.grad for p in model.parameters())])
        assert all(grad is not None for grad in found[-1])
    torch.testing.assert_close(found[1], found[0], atol=1e-3, rtol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(chunked(frames, mask)[1], found[0][1])


def test_frames_of_other_sizes_and_impossible_options_are_refused(vision):
    with pytest.raises(DataError, match=r'frames of 8x10 pixels, which are not multiples of patch_size=4\. Decode'):
        vision[0](torch.zeros(1, 3, 8, 10))
    with pytest.raises(ConfigError, match='num_patches=10 is not a square'):
        SigLIP2VisionTransformer(num_patches=10)
    with pytest.raises(ConfigError, match='layers=0'):
        SigLIP2VisionTransformer(layers=0)
    with pytest.raises(ConfigError, match='width=24 is not a multiple of heads=5'):
        SigLIP2VisionTransformer(width=24, heads=5)


@pytest.fixture(scope='module')
def text():
    """Our tower, with long positions of another scale."""
    model = SigLIP2TextTransformer(vocab_size=50, context_length=22, long_context_length=30, pad_id=7, **OURS)
    return randomise(model, 2)


def their_text_states(text, ids, table):
    """States of transformers' text model at the last position, with a position table of ours."""
    sizes = SIZES | dict(vocab_size=50, max_position_embeddings=len(table))
    special = dict(bos_token_id=None, eos_token_id=None, pad_token_id=None)
    theirs = Siglip2TextModel(Siglip2TextConfig(**sizes, **special)).eval()
    with torch.no_grad():
        theirs.embeddings.token_embedding.weight.copy_(text.token_embedding.weight)
        theirs.embeddings.position_embedding.weight.copy_(table)
        theirs.encoder.layers.load_state_dict(text.blocks.state_dict())
        theirs.final_layer_norm.load_state_dict(text.final_norm.state_dict())
        return theirs(ids).last_hidden_state[:, -1]


@pytest.mark.parametrize('long', [False, True])
def test_text_states_equal_transformers_padded_to_the_table(text, long):
    table = text.positional_embedding_long if long else text.positional_embedding
    tokens = [torch.tensor([3, 4, 1]), torch.arange(len(table)) + 8, torch.tensor([3, 4, 1])]
    ids = torch.full((3, len(table)), 7)
    for row, t in zip(ids, tokens, strict=True):
        row[: len(t)] = t
    with torch.no_grad():
        found = text(tokens, long=long)
    torch.testing.assert_close(found, their_text_states(text, ids, table), atol=1e-5, rtol=1e-5)
    assert torch.equal(found[0], found[2])


def test_checkpointing_changes_no_gradient_of_the_text_tower(text):
    saving = SigLIP2TextTransformer(
        vocab_size=50, context_length=22, long_context_length=30, pad_id=7, with_cp=True, **OURS
    )
    saving.load_state_dict(text.state_dict())
    for model in (text, saving):
        model.zero_grad()
        model([torch.tensor([3, 4])]).sum().backward()
    torch.testing.assert_close(saving.token_embedding.weight.grad, text.token_embedding.weight.grad)


def test_texts_that_do_not_fit_are_refused(text):
    assert text([]).shape == (0, 24)
    with pytest.raises(DataError, match='texts of 2 to 23 tokens, but the short position table takes 1 to 22'):
        text([torch.arange(23), torch.arange(2)])
    with pytest.raises(DataError, match='texts of 0 to 0 tokens'):
        text([torch.zeros(0, dtype=torch.long)])
    for token in (50, -1):
        with pytest.raises(DataError, match=f'token id {token} is beyond the vocabulary of 50'):
            text([torch.tensor([1, token])])
    short = SigLIP2TextTransformer(vocab_size=50, context_length=22, long_context_length=None, **OURS)
    with pytest.raises(ConfigError, match='no long position table'):
        short([torch.arange(3)], long=True)
    with pytest.raises(ConfigError, match='needs at least as many positions'):
        SigLIP2TextTransformer(vocab_size=50, context_length=20, **OURS)
    with pytest.raises(ConfigError, match='pad_id=50 is not in the vocabulary'):
        SigLIP2TextTransformer(vocab_size=50, pad_id=50, **OURS)
