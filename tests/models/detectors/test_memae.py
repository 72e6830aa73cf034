import pytest
import torch

from vadlab.registry import MODELS
from vadlab.utils.errors import DataError

from .fixed_weights import fill, frames

#: Numbers of the authors' code (donggong1/memae-anomaly-detection, ceece77) in float64, with the weights and frames of
#: fixed_weights and the memory multiplied by 6, so that 99 % of the attention weights are cut off.
LOSSES = 16.383607142104353, 2.2898932253351902
ERRORS = 0.6907872577064234, 0.6909960998130911, 0.6912390462580793


def build(**options):
    torch.manual_seed(0)
    return MODELS.build(dict(type='MemAE', **options))


def test_losses_and_errors_are_the_frozen_numbers_of_the_authors_code():
    model = build(entropy_weight=1.0).double()
    fill({k: v for k, v in model.state_dict().items() if k.startswith(('encoder', 'decoder', 'memory'))})
    model.memory.weight.data.mul_(6)
    video = frames(18, 32)
    assert model.eval().components(video)['error'].tolist() == pytest.approx(ERRORS, rel=1e-7)
    pixels = model.data_preprocessor.to_float(video)
    assert pixels.shape == (18, 1, 32, 32)
    batch = torch.stack([pixels[i : i + 16] for i in (0, 2)])
    losses = {k: v.detach() for k, v in model.train().loss(batch).items()}
    assert [float(v) for v in losses.values()] == pytest.approx(LOSSES, rel=1e-7)


def test_initial_weights_are_drawn_as_in_the_authors_code():
    model = build()
    assert model.encoder[3].weight.detach().std() == pytest.approx(0.02, rel=0.02)
    assert model.encoder[4].weight.detach().mean() == pytest.approx(1, abs=0.02)
    assert model.encoder[4].weight.detach().std() == pytest.approx(0.02, rel=0.3)


def tiny(**options):
    return build(width=8, num_items=20, **options)


def test_a_stride_scores_every_second_window_and_interpolates_between():
    video, model = frames(22, 16), tiny().eval()
    every = model.components(video)['error']
    model.window_stride = 2
    some = model.components(video)['error']
    torch.testing.assert_close(some, every[::2])
    assert len(every) == 7


def test_training_reaches_every_parameter_and_lowers_the_error():
    model = tiny(shrink_threshold=0.01).train()
    batch = model.data_preprocessor.to_float(frames(16, 16)[None])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    errors = []
    for step in range(12):
        terms = model.loss(batch)
        optimizer.zero_grad()
        sum(terms.values()).backward()
        if step == 0:
            assert all(p.grad is not None for p in model.parameters())
        optimizer.step()
        errors.append(terms['loss_pixel'].item())
    assert errors[-1] < 0.8 * errors[0]


def test_the_authors_checkpoint_has_their_names():
    model = tiny()
    names = {'mem_rep.memory.weight': model.memory.weight.data}
    names |= {k: v for k, v in model.state_dict().items() if k.startswith(('encoder', 'decoder'))}
    assert model.from_public(names).keys() == model.state_dict().keys()


def test_sizes_that_cannot_be_halved_are_refused():
    with pytest.raises(DataError, match='16 frames of 24x24 pixels'):
        tiny().components(frames(16, 24))
