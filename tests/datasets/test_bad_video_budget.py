import copy
import pickle

from vadlab.datasets.bad_video_budget import BadVideoBudget


def test_copies_count_together_and_names_count_once():
    budget = BadVideoBudget(1)
    other = pickle.loads(pickle.dumps(budget))
    assert budget.add('a')
    assert not other.add('a')
    assert not budget.exceeded
    assert other.add('b')
    assert budget.exceeded
    assert budget.names() == ['a', 'b']


def test_a_copy_goes_on_without_its_original():
    budget = BadVideoBudget(0)
    other = copy.deepcopy(budget)
    budget.add('a')
    del budget
    assert other.names() == []
    other.add('c')
    assert other.names() == ['c']
