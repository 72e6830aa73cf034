import torch

from vadlab.engine.hooks.diagnostics_hook import DiagnosticsHook


def test_norms_are_those_of_autograd(toy_runner):
    runner = toy_runner(hooks=[DiagnosticsHook(interval=1)], max_epochs=1, sanity_check=False)
    grads = []
    runner.model.logit_scale.register_post_accumulate_grad_hook(lambda p: grads.append(p.grad.abs().item()))
    runner.train()
    logged = runner.message_hub.log_scalars['train/diag/grad/logit_scale'].data[0].tolist()
    assert logged == grads
    assert len(logged) == 4


def test_model_speaks(toy_runner):
    runner = toy_runner(hooks=[DiagnosticsHook(interval=100)], max_epochs=1, sanity_check=False)
    runner.model.collect_diagnostics = False
    asked = []
    runner.model.diagnostics = lambda: asked.append(runner.iter) or {'norm': torch.tensor(2.0)}
    runner.train()
    assert asked == [0]  # the first iteration, then every hundredth
    assert runner.message_hub.log_scalars['train/diag/norm'].current() == 2
    assert runner.model.collect_diagnostics is False
