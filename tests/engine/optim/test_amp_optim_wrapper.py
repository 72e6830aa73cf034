import pytest
import torch
from torch import nn

from vadlab.engine.optim.amp_optim_wrapper import AmpOptimWrapper
from vadlab.utils.errors import ConfigError

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason='about machines without a GPU')


def build(**options):
    torch.manual_seed(0)
    model = nn.Linear(4, 4)
    return model, AmpOptimWrapper(optimizer=torch.optim.SGD(model.parameters(), lr=0.1), **options)


@pytest.mark.parametrize(('amp_on_cpu', 'dtype'), [(False, torch.float32), (True, torch.bfloat16)])
def test_computes_in_the_asked_precision(amp_on_cpu, dtype):
    model, wrapper = build(amp_on_cpu=amp_on_cpu)
    with wrapper.optim_context(model):
        assert model(torch.ones(1, 4)).dtype == dtype


def test_step_without_amp_equals_plain_sgd():
    model, wrapper = build(clip_grad=dict(max_norm=1.0))
    torch.manual_seed(0)
    plain = nn.Linear(4, 4)
    with wrapper.optim_context(model):
        loss = model(torch.ones(1, 4)).square().sum()
    wrapper.update_params(loss)
    plain(torch.ones(1, 4)).square().sum().backward()
    torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
    torch.optim.SGD(plain.parameters(), lr=0.1).step()
    torch.testing.assert_close(model.weight, plain.weight)


def test_state_survives_and_says_nothing_about_scaling():
    _, wrapper = build()
    state = wrapper.state_dict()
    assert 'loss_scaler' not in state
    build()[1].load_state_dict(state)


def test_says_once_that_there_is_no_gpu(monkeypatch):
    from vadlab.engine.optim import amp_optim_wrapper

    lines = []
    monkeypatch.setattr(amp_optim_wrapper, 'print_log', lambda text, **_: lines.append(text))
    build()
    assert lines == ['Mixed precision: no GPU here, training in float32 (amp_on_cpu=True would use bfloat16).']


def test_unknown_precision():
    with pytest.raises(ConfigError, match="must be 'bfloat16' or 'float16', not 'int8'"):
        build(dtype='int8')
