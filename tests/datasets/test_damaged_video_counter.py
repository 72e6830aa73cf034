import copy
import pickle

from vadlab.datasets.damaged_video_counter import DamagedVideoCounter


def test_copies_count_together_and_names_count_once():
    budget = DamagedVideoCounter()
    other = pickle.loads(pickle.dumps(budget))
    assert budget.add('a')
    assert not other.add('a')
    assert other.add('b')
    assert budget.names() == ['a', 'b']


def test_a_copy_goes_on_without_its_original():
    budget = DamagedVideoCounter()
    other = copy.deepcopy(budget)
    budget.add('a')
    del budget
    assert other.names() == []
    other.add('c')
    assert other.names() == ['c']
