import json

import torch


def records(folder):
    lines = [line for file in sorted(folder.glob('*/vis_data/scalars.json')) for line in file.read_text().splitlines()]
    return [json.loads(line) for line in lines]


def test_one_rate_per_group_by_name_and_one_axis_for_losses_and_metrics(toy_runner, tmp_path):
    toy_runner(tmp_path / 'run', log_interval=1, max_epochs=1).train()
    toy_runner(tmp_path / 'run', resume=tmp_path / 'run' / 'epoch_1.pth', log_interval=1, max_epochs=2).train()
    found = records(tmp_path / 'run')
    training = [record for record in found if 'loss' in record]
    assert len(training) == 8
    for record in training:
        assert {name for name in record if name.endswith('lr')} == {'temperatures_lr', 'rest_lr'}
    validations = [record for record in found if 'toy/closeness' in record]
    assert [record['step'] for record in validations] == [4, 8]
    assert [record['step'] for record in training] == list(range(1, 9))


def test_groups_without_names(toy_runner, tmp_path):
    for count, wanted in ((1, {'lr'}), (2, {'group0_lr', 'group1_lr'})):
        runner = toy_runner(tmp_path / f'run{count}', log_interval=1, max_epochs=1, sanity_check=False)
        built = runner.build_optim_wrapper(runner.optim_wrapper)
        parameters = list(runner.bare_model.parameters())
        groups = [dict(params=part) for part in (parameters[:1], parameters[1:])] if count == 2 else parameters
        built.optimizer = torch.optim.SGD(groups, lr=0.1)
        runner.optim_wrapper, runner.param_schedulers = built, None
        runner.train()
        for record in records(tmp_path / f'run{count}'):
            if 'loss' in record:
                assert {name for name in record if name.endswith('lr')} == wanted
