import pytest
import torch
import torch.nn.functional as F

from vadlab.checkpoints.checkpoint_io import in_our_names
from vadlab.registry import MODELS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import CheckpointError, ConfigError, DataError

from .fixed_weights import fill, frames

#: Numbers of the authors' code (cvlab-yonsei/MNAD, 4e108a8) in float64, with the weights and frames of fixed_weights:
#: loss_pixel, compactness, separateness; first channel of four updated items, sum of all; then PSNR in dB and distances
#: of the frames of a video, with updates below a threshold that some frames pass.
AUTHORS = {
    'prediction': dict(
        losses=(0.7483679968415613, 0.00361856572151164, 0.9797884034081518),
        items=(-0.05937168322593277, 0.01933976541422026, -0.03186274856278991, 0.06074194901456597),
        total=3.8971937656158313,
        psnr=(8.328215195857299, 8.337047957031054, 8.369498981741549, 8.374612396201229),
        distance=(0.0035916662257412984, 0.003593014404262112, 0.0011466231061550245, 0.001147369748891445),
        threshold=0.2800,
    ),
    'reconstruction': dict(
        losses=(0.8287075829067511, 0.0036413850980877675, 0.9789162555651245),
        items=(-0.05937168322593277, 0.03150794062176328, -0.049017371998068736, 0.06074194901456597),
        total=3.6745609192121784,
        psnr=(8.686361016129972, 8.708100643667455, 8.788117845248975, 8.817867204178505)
        + (8.821635923097084, 8.823717576276175, 8.863557482793215, 8.872820387839269),
        distance=(0.003593137800342859, 0.003598383430057969, 0.0035986426791138138, 0.0011004321554324726)
        + (0.0005310775971701937, 0.0005306891346139512, 0.00040308103152081516, 0.00037134723709398253),
        threshold=0.2107,
    ),
}


def build(**options):
    torch.manual_seed(0)
    return MODELS.build(dict(type='MNAD', **options))


def with_fixed_weights(task):
    known = AUTHORS[task]
    model = build(task=task, update_threshold=known['threshold'], compact_weight=1, separate_weight=1).double()
    state = {k: v for k, v in model.state_dict().items() if not k.startswith(('component', 'total', 'calibrated'))}
    fill(state)
    model.memory.items.copy_(F.normalize(model.memory.items, dim=1))
    return model, known


@pytest.mark.parametrize('task', AUTHORS)
def test_losses_memory_and_scores_are_the_frozen_numbers_of_the_authors_code(task):
    model, known = with_fixed_weights(task)
    video = frames(8, 16)
    pixels = model.data_preprocessor.to_float(video)
    with torch.no_grad():
        parts = model.eval().components(video)
    batch = torch.stack([pixels[i : i + model.window] for i in (0, 2)])
    losses = {k: v.detach() for k, v in model.train().loss(batch).items()}
    assert [float(v) for v in losses.values()] == pytest.approx(known['losses'], rel=1e-9)
    # Their update sums in float32.
    assert model.memory.items[:4, 0].tolist() == pytest.approx(known['items'], abs=1e-6)
    assert float(model.memory.items.sum()) == pytest.approx(known['total'], abs=1e-4)
    assert (-parts['psnr']).tolist() == pytest.approx(known['psnr'], abs=1e-5)
    assert parts['distance'].tolist() == pytest.approx(known['distance'], abs=1e-8)


def tiny(**options):
    return build(width=2, **options)


def test_each_frame_of_a_test_is_compared_with_the_memory_as_trained_if_nothing_updates_it():
    torch.manual_seed(3)
    model = tiny(update_threshold=None, chunk_size=3).eval()
    video = frames(9, 16)
    together = model.components(video)
    alone = [model.components(video[i : i + 5]) for i in range(5)]
    for name, values in together.items():
        torch.testing.assert_close(values, torch.cat([part[name] for part in alone]))
    model.update_threshold = 100.0
    assert not torch.allclose(model.components(video)['distance'], together['distance'])
    before = model.memory.items.clone()
    torch.testing.assert_close(model.components(video)['psnr'], model.components(video)['psnr'])
    assert torch.equal(model.memory.items, before)  # a test never changes the model


def test_training_moves_the_memory_and_a_dry_loss_does_not():
    model = tiny().train()
    batch = model.data_preprocessor.to_float(torch.stack([frames(5, 16), frames(5, 16, seed=1)]))
    before = model.memory.items.clone()
    with torch.no_grad():
        model.loss(batch)
    assert torch.equal(model.memory.items, before)
    sum(model.loss(batch).values()).backward()
    assert not torch.equal(model.memory.items, before)
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize('task', AUTHORS)
def test_a_few_steps_lower_the_error_of_the_frame(task):
    model = tiny(task=task).train()
    batch = model.data_preprocessor.to_float(torch.stack([frames(5, 16)])[:, -model.window :])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    errors = []
    for _ in range(15):
        terms = model.loss(batch)
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
        errors.append(terms['loss_pixel'].item())
    assert errors[-1] < 0.8 * errors[0]


def test_prediction_writes_a_score_for_every_frame_also_the_first_four():
    model = tiny().eval()
    sample = VADDataSample(metainfo=dict(video_id='a', total_frames=9))
    data = model.data_preprocessor(dict(inputs=[frames(9, 16)], data_samples=[sample]), False)
    (found,) = model(**data, mode='predict')
    assert found.pred_logits.shape == found.pred_scores.shape == (9,)
    assert len(set(found.pred_logits[:5].tolist())) == 1
    assert len(set(found.pred_logits[4:].tolist())) == 5


def test_the_authors_checkpoint_without_memory_items_says_how_to_join_both_files():
    model = tiny()
    names = {'encoder.moduleConv1.0.weight': torch.zeros(2, 12, 3, 3)}
    with pytest.raises(CheckpointError, match=r"no memory items.*'m_items'"):
        in_our_names(model, names, 'model.pth')


def test_the_authors_unused_norm_is_skipped_and_unknown_tensors_are_named():
    model = tiny()
    names = {'encoder.moduleConv1.0.weight': torch.zeros(2, 12, 3, 3), 'm_items': torch.zeros(10, 16)}
    found = model.from_public(names | {'encoder.moduleBatchNorm.weight': torch.zeros(16)})
    assert {'encoder.stages.conv1.0.weight', 'memory.items', 'component_mean'} <= found.keys()
    assert not any('moduleBatchNorm' in name for name in found)
    with pytest.raises(CheckpointError, match=r'encoder\.moduleConv9\.0\.weight'):
        model.from_public(names | {'encoder.moduleConv9.0.weight': torch.zeros(1)})


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(task='forecast'), 'task='),
        (dict(num_items=1), 'num_items must be at least 2'),
        (dict(psnr_weight=1.5), 'psnr_weight.* in 0..1'),
    ],
)
def test_options_that_cannot_be_used_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        build(**options)


def test_a_size_that_the_network_cannot_halve_three_times_is_refused():
    with pytest.raises(DataError, match='20x20 pixels.*multiples of 8'):
        tiny().components(frames(5, 20))
