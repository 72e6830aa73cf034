import logging
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger

from vadlab.checkpoints.checkpoint_io import load_weights, write_checkpoint
from vadlab.models.captioners.caption_ensemble import CaptionEnsemble
from vadlab.models.captioners.decoding import beam_search, greedy_search, words_of
from vadlab.models.captioners.fsgr import FSGR
from vadlab.models.heads.codebook import save_codebook
from vadlab.models.tokenizers.word_vocabulary import WordVocabulary
from vadlab.structures import CaptionDataSample
from vadlab.utils.errors import CheckpointError, ConfigError, DataError, MissingFileError
from vadlab.utils.setup_env import register_all_modules

SMALL_CLIP = Path(__file__).parents[3] / 'vadlab/simulators/surveillance/weights/clip_synthetic.safetensors'
WORDS = ('<pad>', '<unk>', '<bos>', '<eos>', 'a', 'dog', 'runs', 'red', 'car')
register_all_modules()


@pytest.fixture
def parts(tmp_path):
    """Config of a tiny FSGR, its vocabulary and codebook on disk."""
    WordVocabulary(words=WORDS).save(tmp_path / 'vocab.json')
    embeds = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    save_codebook(tmp_path / 'book.safetensors', ['dog', 'car', 'road'], embeds)
    return dict(
        vision=dict(type='CLIPVisionTransformer', image_size=32, patch_size=16, width=16, layers=2, heads=2),
        tokenizer=dict(type='WordVocabulary', vocab_file=str(tmp_path / 'vocab.json')),
        codebook=str(tmp_path / 'book.safetensors'),
        embed_dim=8,
        width=8,
        encoder=dict(layers=1, heads=2, ffn_width=16, dropout=0.0),
        decoder=dict(layers=1, heads=2, ffn_width=16, dropout=0.0, max_len=10),
        loss_concept=dict(type='SupervisedContrastiveLoss', loss_weight=0.25),
        decoding=dict(method='beam', beam_size=3, max_len=6),
    )


def _model(parts, seed=0, **options):
    torch.manual_seed(seed)
    model = FSGR(**{**parts, **options})
    torch.nn.init.normal_(model.decoder.classifier.weight)
    return model


def _sample(caption=None, image_id=7, words=WORDS):
    found = CaptionDataSample(metainfo=dict(image_id=image_id))
    if caption is not None:
        found.gt_caption_tokens = torch.tensor(WordVocabulary(words=words).encode(caption))
    return found


def _images(count=2):
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_visual_and_text_grid_reach_the_decoder_as_specified(parts):
    model, inputs = _model(parts).eval(), _images()
    found = model(inputs)
    seen = model.vision.forward_patches(inputs)
    whole = F.normalize(seen.cls @ model.visual_projection.weight.T, dim=-1)
    aligned = F.normalize(seen.aligned @ model.visual_projection.weight.T, dim=-1)
    concepts = (aligned @ model.codebook.T).argmax(-1)  # fewer concepts than an image has candidates
    share = torch.stack([(row[:, None] == row).sum(1) + 1 for row in concepts])
    text = model.codebook[concepts] / share[..., None]
    visual = model.encoder.embed(F.normalize(seen.patches, dim=-1), whole)
    assert torch.equal(found.concepts, concepts)
    torch.testing.assert_close(found.visual, visual)
    torch.testing.assert_close(found.grid, model.encoder(visual, text))


def test_losses_equal_cross_entropy_and_contrastive_loss_of_unit_vectors(parts):
    model, inputs = _model(parts, decoder=parts['decoder'] | dict(dropout=0.0)), _images()
    for layer in model.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    model.eval()
    samples = [_sample('a red car'), _sample('a dog')]
    losses = model(inputs, samples, mode='loss')
    images = model(inputs)
    log_probs = [
        model.decoder(s.gt_caption_tokens[None, :-1], images._replace(grid=images.grid[i : i + 1]))[0]
        for i, s in enumerate(samples)
    ]
    targets = torch.cat([s.gt_caption_tokens[1:] for s in samples])
    torch.testing.assert_close(losses['loss_caption'], F.nll_loss(torch.cat(log_probs), targets))
    units = F.normalize(images.visual.flatten(0, 1), dim=-1)
    torch.testing.assert_close(losses['loss_concept'], model.loss_concept(units, images.concepts.flatten()))


def test_captions_of_a_batch_are_scored_independently(parts):
    model, inputs = _model(parts).eval(), _images(3)
    samples = [_sample(text) for text in ('a', 'a red car runs a dog runs', 'a dog')]
    together = model(inputs, samples, mode='loss')['loss_caption']
    alone = [model(inputs[i : i + 1], [s], mode='loss')['loss_caption'] for i, s in enumerate(samples)]
    lengths = torch.tensor([len(s.gt_caption_tokens) - 1.0 for s in samples])
    torch.testing.assert_close(together, (torch.stack(alone) * lengths).sum() / lengths.sum())


def test_loss_of_several_captions_per_image_equals_the_loss_of_pairs(parts):
    model, inputs = _model(parts, loss_concept=None).eval(), _images(2)
    texts = [('a', 'a red car runs'), ('a dog runs', 'a dog')]
    pairs = [_sample(text) for of_image in texts for text in of_image]
    images = [_sample(image_id=i) for i in range(2)]
    for sample, ours in zip(images, (pairs[:2], pairs[2:]), strict=True):
        tokens = [pair.gt_caption_tokens for pair in ours]
        sample.gt_caption_tokens = torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True)
    torch.testing.assert_close(
        model(inputs, images, mode='loss'), model(inputs.repeat_interleave(2, 0), pairs, mode='loss')
    )
    with pytest.raises(DataError, match='different numbers of captions'):
        model(inputs, [images[0], pairs[2]], mode='loss')


def test_trained_parts_get_gradients_and_the_joint_space_is_frozen(parts):
    vision = parts['vision'] | dict(frozen=True, adapters=dict(first=1, last=1), prompts=dict(num_tokens=2), layers=3)
    model = _model(parts, vision=vision).train()
    losses = model(_images(), [_sample('a dog'), _sample('a red car')], mode='loss')
    sum(losses.values()).backward()
    learns = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name.split('.')[0] for name in learns} == {'vision', 'encoder', 'decoder'}
    assert all('adapters' in name or 'prompts' in name for name in learns if name.startswith('vision'))
    without = {name for name in learns if model.get_parameter(name).grad is None}
    assert without == set()


def test_predictions_are_the_words_of_the_search(parts):
    model, inputs = _model(parts).eval(), _images()
    samples = model(inputs, [_sample(), _sample()], mode='predict')
    found = beam_search(model.decoder, model(inputs), 3, 6)
    for i, sample in enumerate(samples):
        words = words_of(found.tokens[i].tolist(), remove_repeats=True)
        assert sample.pred_tokens.tolist() == words
        assert sample.pred_caption == ' '.join(WORDS[word] for word in words)
        assert sample.pred_score == pytest.approx(float(found.scores[i]))
        assert sample.pred_concepts.shape == (4,)


def test_repeated_words_are_kept_on_request(parts):
    model = _model(parts, remove_repeats=False, decoding=dict(method='greedy', max_len=5)).eval()
    model.decoder.step = lambda words, cache: F.one_hot(torch.full((len(words),), 5), 9).float().log()
    assert model(_images(1), [_sample()], mode='predict')[0].pred_caption == 'dog dog dog dog dog'
    model.remove_repeats = True
    assert model(_images(1), [_sample()], mode='predict')[0].pred_caption == 'dog'


def test_log_probs_of_several_captions_per_image_equal_scores_of_the_search(parts):
    model, inputs = _model(parts).eval(), _images()
    images = model(inputs)
    found = beam_search(model.decoder, images, 3, 6, return_all=True)
    start = torch.full((2, 3, 1), 2)
    scores = model.log_probs(images, torch.cat([start, found.tokens], -1).flatten(0, 1)).sum(1)
    torch.testing.assert_close(scores.view(2, 3), found.scores, atol=1e-5, rtol=0)


def test_weights_of_the_small_clip_are_loaded(parts, tmp_path):
    log = []
    handler = logging.Handler()
    handler.emit = lambda record: log.append(record.getMessage())
    MMLogger.get_current_instance().addHandler(handler)
    save_codebook(tmp_path / 'wide.safetensors', ['dog', 'car'], torch.randn(2, 64))
    vision = dict(type='CLIPVisionTransformer', image_size=128, patch_size=16, width=128, layers=6, heads=4)
    options = dict(
        vision=vision | dict(hidden_act='gelu', adapters=dict(first=5, last=5), frozen=True),
        codebook=str(tmp_path / 'wide.safetensors'),
        embed_dim=64,
        width=64,
        word_init='clip',
        pretrained=str(SMALL_CLIP),
    )
    model = _model(parts, **options)
    before = model.decoder.word_embedding.weight[:4].clone()
    model.init_weights()
    MMLogger.get_current_instance().removeHandler(handler)
    assert float(model.logit_scale) == pytest.approx(2.6, abs=0.1)
    assert not model.logit_scale.requires_grad
    words = model.decoder.word_embedding.weight
    assert torch.equal(words[:4], before)
    torch.testing.assert_close(words[4:].norm(dim=1), torch.full((5,), 8.0))
    assert any(line.startswith('Trainable parameters: vision 8,352 of 1,305,248') for line in log)
    with pytest.raises(ConfigError, match="word_init='clip' needs pretrained="):
        _model(parts, word_init='clip').init_weights()


# ---- contradictory settings -----------------------------------------------------------------------------------------


def _load(model, state):
    load_weights(model, state, 'old.pth')


def test_a_checkpoint_restores_the_model(parts, tmp_path):
    memory = dict(steps=4, pairs_per_step=4, num_prototypes=2, min_pairs=4, neighbours=2, refresh_every=1)
    options = dict(decoder=parts['decoder'] | dict(memory=memory))
    model, other = _model(parts, **options).train(), _model(parts, seed=1, **options)
    model(_images(), [_sample('a red car'), _sample('a dog runs')], mode='loss')
    model.decoder.layers[0].memory.after_optimizer_step()
    _load(other, model.state_dict())
    assert other.decoder.layers[0].memory.is_serving
    one, same = (m.eval()(_images(), [_sample(), _sample()], mode='predict') for m in (model, other))
    assert [s.pred_score for s in one] == [s.pred_score for s in same]


def test_a_checkpoint_of_another_vocabulary_is_rejected(parts):
    state = _model(parts).state_dict()
    for words in (WORDS[:-1], (*WORDS[:-2], 'car', 'red')):
        other = _model(parts, tokenizer=dict(type='WordVocabulary', words=words))
        message = rf'old.pth was trained with another vocabulary \(9 words\) than words \({len(words)} words\)'
        with pytest.raises(CheckpointError, match=message):
            _load(other, state)


def test_a_checkpoint_of_another_codebook_is_rejected(parts, tmp_path):
    state = _model(parts).state_dict()
    path = tmp_path / 'other.safetensors'
    save_codebook(path, ['dog', 'car'], torch.ones(2, 8))
    with pytest.raises(CheckpointError, match=r'another codebook \(3 concepts\) than this one \(2: dog, car'):
        _load(_model(parts, codebook=str(path)), state)
    save_codebook(path, ['dog', 'car', 'road'], torch.ones(3, 8))
    with pytest.raises(CheckpointError, match='the same 3 names, but of another text tower'):
        _load(_model(parts, codebook=str(path)), state)


def test_a_codebook_of_another_width_is_rejected_when_built(parts, tmp_path):
    save_codebook(tmp_path / 'wide.safetensors', ['dog'], torch.ones(1, 16))
    with pytest.raises(DataError, match='its concepts have 16 dimensions, the model has embed_dim=8'):
        _model(parts, codebook=str(tmp_path / 'wide.safetensors'))


@pytest.mark.parametrize(
    ('tokens', 'message'),
    [
        ([2, 4, 9, 3], 'caption of image 7 has the word id 9, but the vocabulary .* has 9 words'),
        ([2, -1, 3], 'has the word id 3, but'),
        ([2], 'caption of image 7 has 1 tokens'),
        ([2, *[4] * 10, 3], 'has 12 tokens, start and end included; the decoder takes 2 to 11'),
    ],
)
def test_invalid_captions_are_named(parts, tokens, message):
    sample = _sample()
    sample.gt_caption_tokens = torch.tensor(tokens)
    with pytest.raises(DataError, match=message):
        _model(parts)(_images(1), [sample], mode='loss')


def test_training_images_without_a_caption_are_rejected(parts):
    with pytest.raises(DataError, match='image 7 has no gt_caption_tokens'):
        _model(parts)(_images(1), [_sample()], mode='loss')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(word_init='glove'), "word_init='glove'"),
        (dict(word_init='clip', width=12), 'needs width=12 to be embed_dim=8'),
        (dict(decoding=dict(max_len=11)), 'decoding.max_len=11 is more than the decoder has positions'),
        (dict(decoding=dict(beam=3)), "beam takes no 'beam'"),
    ],
)
def test_contradictory_settings_are_rejected(parts, options, message):
    with pytest.raises(ConfigError, match=message):
        _model(parts, **options)


# ---- ensembles ------------------------------------------------------------------------------------------------------


def _saved(model, path):
    write_checkpoint(dict(state_dict=model.state_dict()), path)
    return str(path)


def _ensemble(parts, paths, **options):
    model = CaptionEnsemble(captioner=dict(type='FSGR', **parts), pretrained=paths, **options)
    model.init_weights()
    return model.eval()


@pytest.mark.parametrize('average', ['log_probs', 'probs'])
def test_ensemble_of_two_equal_checkpoints_equals_one(parts, tmp_path, average):
    model = _model(parts).eval()
    path = _saved(model, tmp_path / 'a.pth')
    both = _ensemble(parts, [path, path], average=average)
    one, same = (m(_images(), [_sample(), _sample()], mode='predict') for m in (model, both))
    assert [s.pred_caption for s in one] == [s.pred_caption for s in same]
    assert [s.pred_score for s in one] == pytest.approx([s.pred_score for s in same], abs=1e-5)


@pytest.mark.parametrize('average', ['log_probs', 'probs'])
def test_an_ensemble_predicts_the_mean_of_its_members(parts, tmp_path, average):
    members = [_model(parts, seed).eval() for seed in range(3)]
    paths = [_saved(m, tmp_path / f'{i}.pth') for i, m in enumerate(members)]
    model = _ensemble(parts, paths, average=average)
    found = greedy_search(model, model(_images()), max_len=6)
    words = [2]
    for _ in range(6):
        said = torch.stack([m.decoder(torch.tensor([words]), m(_images()[:1]))[0, -1] for m in members])
        mean = said.mean(0) if average == 'log_probs' else said.exp().mean(0).log()
        mean[:3] = -torch.inf
        words.append(int(mean.argmax()))
        if words[-1] == 3:
            break
    assert [w for w in found.tokens[0].tolist() if w] == words[1:]


def test_an_ensemble_rejects_what_its_members_reject(parts, tmp_path):
    path = _saved(_model(parts), tmp_path / 'a.pth')
    other = parts | dict(tokenizer=dict(type='WordVocabulary', words=WORDS[:-1]))
    with pytest.raises(CheckpointError, match='another vocabulary'):
        _ensemble(other, [path])
    with pytest.raises(MissingFileError, match='b.pth'):
        _ensemble(parts, [path, str(tmp_path / 'b.pth')])
    with pytest.raises(ConfigError, match='give a list of checkpoints'):
        _ensemble(parts, [])
    with pytest.raises(ConfigError, match="average='median'"):
        _ensemble(parts, [path], average='median')
    with pytest.raises(ConfigError, match='not trained as one'):
        _ensemble(parts, [path])(_images(), [_sample(), _sample()], mode='loss')
