import json

import numpy as np
import pytest
import torch

from vadlab.checkpoints.checkpoint_io import load_weights
from vadlab.models.detectors.pel4vad import PEL4VAD, TemporalContext
from vadlab.structures import VADDataSample
from vadlab.utils.errors import CheckpointError, ConfigError, DataError, MissingFileError

TINY = dict(
    feature_dim=8,
    classes=('Normal', 'Arson', 'Riot'),
    prompt_dim=4,
    attention_dim=4,
    hidden_dim=3,
    window=3,
    kernel_size=3,
    dropout=0.0,
    data_preprocessor=dict(type='BaseDataPreprocessor'),
)
# The authors' tensors and their shapes at the sizes above.
AUTHORS = {
    'classifier.bias': (1,),
    'classifier.weight': (1, 3, 3),
    'logit_scale': (),
    'self_attention.linear1.bias': (4,),
    'self_attention.linear1.weight': (4, 8, 1),
    'self_attention.linear2.bias': (3,),
    'self_attention.linear2.weight': (3, 4, 1),
    'self_attention.loc_adj.b': (1,),
    'self_attention.loc_adj.w': (1,),
    'self_attention.norm.bias': (8,),
    'self_attention.norm.weight': (8,),
    'self_attention.self_attn.alpha': (),
    'self_attention.self_attn.k.bias': (4,),
    'self_attention.self_attn.k.weight': (4, 8),
    'self_attention.self_attn.o.bias': (8,),
    'self_attention.self_attn.o.weight': (8, 4),
    'self_attention.self_attn.q.bias': (4,),
    'self_attention.self_attn.q.weight': (4, 8),
    'self_attention.self_attn.v.bias': (4,),
    'self_attention.self_attn.v.weight': (4, 8),
}
LENGTHS, LABELS = [20, 16, 5, 1], [2, 0, 1, 0]


def authors_weights():
    """Reproducible weights with the authors' names, in their order."""
    tensors = {}
    for i, (name, shape) in enumerate(AUTHORS.items()):
        ticks = torch.arange(int(np.prod(shape)), dtype=torch.float64)
        wave = 0.5 * torch.sin(ticks * (1 + 0.1 * i) + i).reshape(shape)
        if name.endswith(('alpha', 'loc_adj.w', 'loc_adj.b')):
            wave = 0.6 * wave.abs()
        elif name == 'logit_scale':
            wave = wave.abs() + 2
        elif name.endswith(('linear1.weight', 'linear2.weight', 'classifier.weight')):
            wave = 4 * wave
        tensors[name] = wave
    return tensors


def features(lengths=LENGTHS):
    feats = torch.cos(torch.arange(len(lengths) * 20 * 8, dtype=torch.float64) * 0.7).reshape(-1, 1, 20, 8)
    for video, length in zip(feats, lengths, strict=True):
        video[:, length:] = 0
    return feats


def samples(lengths=LENGTHS, labels=LABELS):
    return [
        VADDataSample(metainfo=dict(video_id=f'v{i}', num_snippets=n), gt_label=label)
        for i, (n, label) in enumerate(zip(lengths, labels, strict=True))
    ]


def build(**options):
    """A model with the authors' weights and text features of sines, float64."""
    torch.manual_seed(0)
    model = PEL4VAD(**{**TINY, **options}).double()
    state = model.from_public(authors_weights())
    state['prompt_features'] = torch.sin(torch.arange(len(model.classes) * 4, dtype=torch.float64) * 1.3 + 1).view(
        -1, 4
    )
    model.load_state_dict(state)
    return model


# Results of the authors' code (commit eeb31f4, torch 2.13, float64) for these weights, features and labels: losses of
# the padded batch, and the scores of the third video in the batch and alone, by norm_context.
AUTHORS_NUMBERS = {
    True: dict(
        loss_mil=1.2869348732,
        loss_align=4.4095628539,
        padded=[0.52366361, 0.4754426, 0.44431688, 0.48709831, 0.25250313],
        alone=[0.50208452, 0.53564265, 0.50247064, 0.37853946, 0.23919167],
    ),
    False: dict(
        loss_mil=1.4845458751,
        loss_align=4.0277354012,
        padded=[0.49686489, 0.5463606, 0.51687601, 0.36426383, 0.25206001],
        alone=[0.49861362, 0.54327376, 0.51188344, 0.36275586, 0.24902441],
    ),
}


@pytest.mark.parametrize('norm_context', [True, False])
def test_losses_and_scores_equal_the_authors_code(norm_context):
    expected = AUTHORS_NUMBERS[norm_context]
    model = build(norm_context=norm_context, train_on_padding=True).train()
    losses = model(features(), samples(), mode='loss')
    assert losses['loss_mil'].item() == pytest.approx(expected['loss_mil'], rel=1e-6)
    assert losses['loss_align'].item() == pytest.approx(expected['loss_align'], rel=1e-6)
    _, logits = model.encode(features()[:, 0], torch.ones(4, 20, dtype=torch.bool))
    assert logits[2, :5].sigmoid().tolist() == pytest.approx(expected['padded'], abs=1e-7)
    alone = model.eval()(features()[2:3, :, :5])['scores']
    assert alone[0].tolist() == pytest.approx(expected['alone'], abs=1e-6)


def test_align_weight_scales_only_the_alignment_loss():
    once, thrice = (build(align_weight=w)(features(), samples(), mode='loss') for w in (1.0, 3.0))
    torch.testing.assert_close(thrice['loss_align'], 3 * once['loss_align'])
    assert once['loss_mil'] == thrice['loss_mil']


def test_published_sizes_have_the_published_number_of_parameters():
    # The authors' log: 1.2091M on UCF-Crime, 1.2073M on ShanghaiTech and XD-Violence.
    preprocessor = TINY['data_preprocessor']
    for kernel_size, number in ((9, 1_209_149), (3, 1_207_349)):
        model = PEL4VAD(kernel_size=kernel_size, data_preprocessor=preprocessor)
        assert sum(p.numel() for p in model.parameters()) == number


@pytest.mark.parametrize('norm_context', [True, False])
@pytest.mark.parametrize('train_on_padding', [True, False])
def test_padding_changes_no_score(norm_context, train_on_padding):
    model = build(norm_context=norm_context, train_on_padding=train_on_padding).eval()
    feats = features()
    for video, length in zip(feats, LENGTHS, strict=True):
        video[:, length:] = 1e3  # for any values in the padding
    together = model(feats, samples(), mode='predict')
    for i, (length, sample) in enumerate(zip(LENGTHS, together, strict=True)):
        (alone,) = model(feats[i : i + 1, :, :length], samples()[i : i + 1], mode='predict')
        torch.testing.assert_close(sample.pred_scores, alone.pred_scores, rtol=1e-6, atol=1e-7)
        assert sample.pred_scores.shape == (16 * length,)


def test_padding_changes_no_loss_unless_trained_on():
    feats, longer = features(), torch.cat([features(), torch.full((4, 1, 7, 8), 1e3, dtype=torch.float64)], 2)
    for name in ('loss_mil', 'loss_align'):
        own = build()(feats, samples(), mode='loss')[name]
        torch.testing.assert_close(build()(longer, samples(), mode='loss')[name], own)
        model = build(train_on_padding=True)
        assert model(longer, samples(), mode='loss')[name] != model(feats, samples(), mode='loss')[name]


def test_loss_depends_on_neither_the_order_of_videos_nor_how_crops_are_grouped():
    model = build()
    given = model(features(), samples(), mode='loss')
    order = [3, 1, 0, 2]
    turned = model(features()[order], [samples()[i] for i in order], mode='loss')
    feats = features([20] * 4).reshape(2, 2, 20, 8)
    grouped = model(feats, samples([20, 20], [2, 0]), mode='loss')
    apart = model(feats.reshape(4, 1, 20, 8), samples([20] * 4, [2, 2, 0, 0]), mode='loss')
    for name in ('loss_mil', 'loss_align'):
        torch.testing.assert_close(turned[name], given[name])
        torch.testing.assert_close(grouped[name], apart[name])


def test_scores_depend_on_later_snippets_only_within_the_context():
    model = build(window=1, norm_context=False).eval()
    with torch.no_grad():
        model.context.gate.fill_(-50.0)  # local context of one snippet: only the causal classifier remains
    feats = features()[:1, :, :9]
    changed = feats.clone()
    changed[:, :, 4] += 1.0
    before, after = (model(x)['scores'][0] for x in (feats, changed))
    assert (before != after).nonzero().flatten().tolist() == [4, 5, 6]


def test_maps_in_chunks_equal_the_full_map(monkeypatch):
    model = build().eval()
    whole = model(features([20] * 4))['scores']
    monkeypatch.setattr(TemporalContext, 'max_rows', 6)
    torch.testing.assert_close(model(features([20] * 4))['scores'], whole)


@pytest.mark.parametrize(('window', 'offsets'), [(1, [0]), (3, [-1, 0, 1]), (4, [-2, -1, 0, 1])])
def test_local_map_covers_its_window(window, offsets):
    torch.manual_seed(0)
    context = TemporalContext(2, 2, window, decay=0.5, offset=0.1, norm=False).double()
    with torch.no_grad():
        context.gate.fill_(-50.0)
    feats = torch.randn(1, 9, 2, dtype=torch.float64, requires_grad=True)
    context(feats, torch.ones(1, 9, dtype=torch.bool))[0, 4].sum().backward()
    seen = [i - 4 for i in range(9) if feats.grad[0, i].abs().max() > 1e-9]
    assert seen == offsets


def test_gradients_equal_finite_differences():
    torch.manual_seed(0)
    context = TemporalContext(3, 2, window=3, decay=0.5, offset=0.1).double()
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    feats = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: context(x, mask)[mask], feats)


def test_zero_features_train_without_nan():
    model = build()
    with torch.no_grad():
        model.context.value.bias.zero_()  # the slope of the power norm's square root is infinite at zero
    losses = model(torch.zeros(4, 1, 20, 8, dtype=torch.float64), samples(), mode='loss')
    (losses['loss_mil'] + losses['loss_align']).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_extreme_logits_have_finite_losses():
    model = build()
    with torch.no_grad():
        model.classifier.weight.mul_(1e4)
    losses = model(features(), samples(), mode='loss')
    (losses['loss_mil'] + losses['loss_align']).backward()
    assert losses['loss_mil'].isfinite()
    assert losses['loss_align'].isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_videos_of_several_classes_take_the_first_text_or_the_mean():
    several = samples([20, 20], [1, 0])
    several[0].gt_classes = torch.tensor([0.0, 1.0, 1.0])
    several[1].gt_classes = torch.tensor([1.0, 0.0, 0.0])
    feats = features([20, 20])
    first = build(several_classes='first')(feats, several, mode='loss')['loss_align']
    mean = build(several_classes='mean')
    model = build(several_classes='first')
    model.prompt_features[1] = mean.prompt_features[1:].mean(0)
    expected = model(feats, several, mode='loss')['loss_align']
    torch.testing.assert_close(mean(feats, several, mode='loss')['loss_align'], expected)
    assert first != expected


def test_other_layouts_give_none():
    model = PEL4VAD(**TINY)
    assert model.from_public({'fc1.weight': torch.zeros(1)}) is None
    lacking = {name: tensor for name, tensor in authors_weights().items() if 'norm' not in name}
    # Missing tensors are reported by the loader, unknown tensors by the reader.
    with pytest.raises(CheckpointError, match=r'missing 2: norm\.weight, norm\.bias'):
        load_weights(model, model.from_public(lacking) | {'prompt_features': model.prompt_features}, 'theirs.pkl')
    with pytest.raises(CheckpointError, match=r"PEL4VAD's authors has 1 tensors .*: memory\.weight"):
        model.from_public({**authors_weights(), 'memory.weight': torch.zeros(1)})


def _save_prompts(folder, rows=3, dim=4):
    np.save(folder / 'p.npy', np.arange(rows * dim, dtype=np.float16).reshape(rows, dim) + 1)
    return str(folder / 'p.npy')


def test_text_features_are_read_before_training_and_kept_in_the_checkpoint(tmp_path):
    model = PEL4VAD(**TINY, prompts=_save_prompts(tmp_path))
    assert not model.prompt_features.any()  # tests do not need the file
    model.init_weights()
    assert model.prompt_features[1].tolist() == [5, 6, 7, 8]
    other = PEL4VAD(**TINY)
    other.load_state_dict(model.state_dict())
    assert other(features().float(), samples(), mode='loss')['loss_align'].isfinite()


def test_text_features_are_read_by_the_first_loss_if_not_read_before(tmp_path):
    model = PEL4VAD(**TINY, prompts=_save_prompts(tmp_path), prompt_classes=('Riot', 'Normal', 'Arson'))
    model(features().float(), samples(), mode='loss')
    assert model.prompt_features[:, 0].tolist() == [5, 9, 1]


def test_training_without_a_file_of_prompts_is_an_error():
    with pytest.raises(ConfigError, match='needs prompts=FILE'):
        PEL4VAD(**TINY)(features().float(), samples(), mode='loss')


def test_missing_file_of_prompts_message_tells_where_to_get_it(tmp_path):
    with pytest.raises(MissingFileError, match='No prompt features at .*json file of concepts'):
        PEL4VAD(**TINY, prompts=str(tmp_path / 'no.npy')).init_weights()


def test_text_features_of_another_size_are_an_error(tmp_path):
    with pytest.raises(ConfigError, match='have 5 channels; prompt_dim is 4'):
        PEL4VAD(**TINY, prompts=_save_prompts(tmp_path, dim=5)).init_weights()


def test_concepts_without_clip_are_an_error(tmp_path):
    (tmp_path / 'c.json').write_text(json.dumps({name: [name] for name in TINY['classes']}))
    with pytest.raises(ConfigError, match='give clip=PATH'):
        PEL4VAD(**TINY, prompts=str(tmp_path / 'c.json')).init_weights()


def test_video_of_unknown_class_is_an_error():
    with pytest.raises(DataError, match="video 'v0' has the class -1"):
        build()(features(), samples(labels=[-1, 0, 1, 0]), mode='loss')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(classes=('Normal',)), 'at least one other class'),
        (dict(several_classes='sum'), 'choose first or mean'),
        (dict(temperature=0.0), 'temperature=0.0 must be > 0'),
        (dict(window=0), 'window=0 must be >= 1'),
    ],
)
def test_arguments_out_of_range_are_errors(options, message):
    with pytest.raises(ConfigError, match=message):
        PEL4VAD(**{**TINY, **options})


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_trains_to_about_the_same_losses(dtype):
    model = build().float()
    exact = model(features().float(), samples(), mode='loss')
    with torch.autocast('cpu', dtype):
        losses = model(features().float(), samples(), mode='loss')
    (losses['loss_mil'] + losses['loss_align']).backward()
    for name in ('loss_mil', 'loss_align'):
        assert losses[name].dtype == torch.float32
        torch.testing.assert_close(losses[name], exact[name], rtol=0.05, atol=0.05)
    assert all(p.grad.isfinite().all() for p in model.parameters())
