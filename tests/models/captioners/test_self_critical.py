"""Self-critical training compared with plain computations."""

import json

import pytest
import torch

from vadlab.models.captioners import self_critical
from vadlab.models.captioners.fsgr import FSGR
from vadlab.models.captioners.self_critical import SelfCriticalFSGR
from vadlab.models.heads.codebook import save_codebook
from vadlab.models.tokenizers.word_vocabulary import WordVocabulary
from vadlab.structures import CaptionDataSample
from vadlab.text.cider import cider_d
from vadlab.utils.errors import ConfigError, DataError

CAPTIONS = [
    ['a red car waits on the road', 'a car on the road'],
    ['a blue boat on the lake', 'the boat waits'],
    ['two dogs run on the grass', 'dogs run'],
    ['a red boat and a blue car', 'a boat and a car'],
]
VOCABULARY = WordVocabulary.build([text for texts in CAPTIONS for text in texts], min_count=1)


@pytest.fixture
def build(tmp_path):
    images = []
    for number, texts in enumerate(CAPTIONS):
        (tmp_path / f'{number}.jpg').touch()
        sentences = [dict(raw=text, sentid=10 * number + i) for i, text in enumerate(texts)]
        images.append(dict(filename=f'{number}.jpg', cocoid=number, split='train', sentences=sentences))
    (tmp_path / 'captions.json').write_text(json.dumps({'images': images}))
    VOCABULARY.save(tmp_path / 'vocab.json')
    save_codebook(tmp_path / 'codebook.safetensors', ['car', 'boat', 'dog'], torch.randn(3, 8))

    def make(**options):
        torch.manual_seed(0)
        settings = dict(
            captions=dict(
                type='COCOCaptions',
                data_root=str(tmp_path),
                ann_file='captions.json',
                splits=['train'],
                rows='images',
                check_images=False,
            ),
            vision=dict(type='CLIPVisionTransformer', image_size=32, patch_size=16, width=16, layers=2, heads=2),
            tokenizer=dict(type='WordVocabulary', vocab_file=str(tmp_path / 'vocab.json')),
            codebook=str(tmp_path / 'codebook.safetensors'),
            embed_dim=8,
            width=16,
            encoder=dict(layers=1, heads=2, ffn_width=16, dropout=0.0),
            decoder=dict(layers=1, heads=2, ffn_width=16, dropout=0.0, max_len=16),
            decoding=dict(max_len=8),
            num_captions=3,
            max_words=8,
        )
        return SelfCriticalFSGR(**settings | options).train()

    return make


def batch(images=(0, 1, 3)):
    torch.manual_seed(1)
    samples = []
    for number in images:
        sample = CaptionDataSample(metainfo=dict(image_id=number))
        sample.gt_captions = CAPTIONS[number]
        samples.append(sample)
    return torch.randn(len(images), 3, 32, 32), samples


def test_gradient_equals_reinforce_of_one_caption_at_a_time(build):
    model = build()
    model.head.eval()  # its noise is drawn by batch
    inputs, samples = batch()
    model.loss(inputs, samples)['loss_scst'].backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    model.zero_grad()
    total = 0
    for number, sample in enumerate(samples):
        images = model.encode(inputs[number : number + 1])
        written = [[w for w in row if w] for row in model.sample(images)[0].tolist()]
        texts = [[VOCABULARY.words[w] for w in row] for row in written]
        truth = [[*text.split(), '<eos>'] for text in sample.gt_captions]
        corpus = [[[*text.split(), '<eos>'] for text in texts] for texts in CAPTIONS]
        weights = self_critical.DocumentFrequencies.from_references(corpus)
        rewards = [cider_d([text], [truth], weights)[0] for text in texts]
        for words, reward in zip(written, rewards, strict=True):
            said = model.decoder(torch.tensor([[VOCABULARY.bos_id, *words[:-1]]]), images)[0]
            log_prob = said[range(len(words)), words].sum()
            total = total - (reward - sum(rewards) / len(rewards)) * log_prob / (3 * len(samples))
    total.backward()
    assert set(found) == {name for name, p in model.named_parameters() if p.grad is not None}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(found[name], parameter.grad, rtol=1e-3, atol=1e-6, msg=name)


def test_reward_equals_cider_d_of_the_words_with_their_end(build):
    model = build()
    texts = [['a red car', 'the the boat on a lake'], ['dogs run on the grass', '']]
    rows = [[[*VOCABULARY.encode(t)[1:], *[0] * 9][:9] for t in row] for row in texts]
    truth = [model._references(sample) for sample in batch((0, 2))[1]]
    found = model.rewards(torch.tensor(rows), truth)
    corpus = [[[*t.split(), 'END'] for t in row] for row in CAPTIONS]
    weights = self_critical.DocumentFrequencies.from_references(corpus)
    for image, row in enumerate(texts):
        references = [corpus[0], corpus[2]][image]
        expected = [cider_d([[*t.split(), 'END']], [references], weights)[0] for t in row]
        assert found[image].tolist() == pytest.approx(expected, abs=1e-5)


def test_a_few_steps_after_cross_entropy_raise_the_reward(build):
    model = build()
    inputs, samples = batch()
    for sample in samples:
        sample.gt_caption_tokens = torch.tensor(VOCABULARY.encode(sample.gt_captions[0]))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def train(loss, steps):
        rewards = []
        for _ in range(steps):
            found = loss(inputs, samples)
            optimizer.zero_grad()
            sum(value for name, value in found.items() if 'loss' in name).backward()
            optimizer.step()
            rewards.append(float(found.get('baseline', 0)))
        return rewards

    train(lambda *data: FSGR.loss(model, *data), 15)
    optimizer.param_groups[0]['lr'] = 5e-4
    rewards = train(model.loss, 40)
    assert sum(rewards[-5:]) > 2 * sum(rewards[:5])


def test_image_is_encoded_once_and_dropout_is_off_only_in_the_search(build, monkeypatch):
    model = build(decoder=dict(layers=1, heads=2, ffn_width=16, dropout=0.1, max_len=16))
    seen = []
    encode = model.vision.forward_patches
    monkeypatch.setattr(model.vision, 'forward_patches', lambda x: seen.append('image') or encode(x))
    search = self_critical.beam_search
    monkeypatch.setattr(
        self_critical, 'beam_search', lambda d, *a, **k: seen.append(f'dropout {d.training}') or search(d, *a, **k)
    )
    model.loss(*batch())
    assert seen == ['image', 'dropout False']
    assert model.decoder.training
    assert all(part.training for part in model.decoder.modules())


def test_frequencies_are_counted_once_and_again_for_other_captions(build, tmp_path):
    folder = tmp_path / 'cache'
    counted = build(cache_dir=str(folder)).frequencies
    read = build(cache_dir=str(folder)).frequencies
    assert len(list(folder.iterdir())) == 1
    assert read.num_images == counted.num_images == len(CAPTIONS)
    assert [k.tolist() for k in read.keys] == [k.tolist() for k in counted.keys]
    content = json.loads((tmp_path / 'captions.json').read_text())
    content['images'].pop()
    (tmp_path / 'captions.json').write_text(json.dumps(content))
    assert build(cache_dir=str(folder)).frequencies.num_images == len(CAPTIONS) - 1
    assert len(list(folder.iterdir())) == 2


def test_single_caption_is_rejected(build):
    with pytest.raises(ConfigError, match='its own baseline'):
        build(num_captions=1)


def test_more_words_than_positions_are_rejected(build):
    with pytest.raises(ConfigError, match='16 positions'):
        build(max_words=17)


def test_image_without_references_is_named(build):
    inputs, samples = batch()
    samples[1].gt_captions = []
    with pytest.raises(DataError, match='image 1 has no gt_captions'):
        build().loss(inputs, samples)
