import logging
from types import SimpleNamespace

import pytest
from mmengine.dataset import BaseDataset

from vadlab.engine.hooks.split_leakage_hook import SplitLeakageHook


class Videos(BaseDataset):
    def __init__(self, *names):
        self.names = names
        super().__init__()

    def load_data_list(self):
        return [{'video_id': name} for name in self.names]


def runner_of(train, val):
    loops = [dataset and SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset)) for dataset in (train, val)]
    return SimpleNamespace(train_loop=loops[0], val_loop=loops[1], logger=logging.getLogger('shared'))


def test_shared_videos_are_counted_and_named(caplog):
    SplitLeakageHook().before_train(runner_of(Videos('a', 'b', 'c'), Videos('c', 'd', 'b')))
    assert '2 of 3 validation videos are also trained on (first: b)' in caplog.text


@pytest.mark.parametrize('val', [Videos('d'), ['no ids'], None])
def test_nothing_is_said_where_none_is_shared_or_known(caplog, val):
    SplitLeakageHook().before_train(runner_of(Videos('a'), val))
    assert not caplog.text


def test_where_names_repeat_the_paths_count(caplog):
    def clips(*folders):
        dataset = Videos('01')
        dataset.names_repeat = True
        dataset.load_data_list = lambda: [{'video_id': '01', 'video_path': f'{f}/01'} for f in folders]
        dataset._fully_initialized = False
        dataset.full_init()
        return dataset

    SplitLeakageHook().before_train(runner_of(clips('train'), clips('test')))
    assert not caplog.text
    SplitLeakageHook().before_train(runner_of(clips('train'), clips('test', 'train')))
    assert '1 of 2 validation videos are also trained on (first: train/01)' in caplog.text
