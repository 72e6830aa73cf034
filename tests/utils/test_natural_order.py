from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from vadlab.utils.natural_order import natural_key, natural_sorted


def test_numbers_count_as_numbers():
    names = ['frame10.png', 'frame9.png', 'frame1.png', 'frame100.png', 'a.png']
    assert natural_sorted(names) == ['a.png', 'frame1.png', 'frame9.png', 'frame10.png', 'frame100.png']
    assert natural_sorted(['v2/1.bmp', 'v10/1.bmp', 'v2/10.bmp', 'v2/9.bmp']) == [
        'v2/1.bmp', 'v2/9.bmp', 'v2/10.bmp', 'v10/1.bmp',
    ]  # fmt: skip
    assert natural_sorted([Path('b/10'), Path('b/9')]) == [Path('b/9'), Path('b/10')]


def test_leading_zeros_and_numbers_of_any_length():
    assert natural_sorted(['2', '01', '1', '001']) == ['001', '01', '1', '2']
    assert natural_sorted(['1' * 5000, '2' * 4999]) == ['2' * 4999, '1' * 5000]
    assert natural_sorted(['²', '٣', '1']) == ['1', '²', '٣']


@given(st.lists(st.integers(0, 10**9), unique=True), st.sampled_from(['{}', 'v{}.jpg', 'a/{}/b.npy', 'x{}_7']))
def test_order_is_that_of_the_numbers(numbers, form):
    assert natural_sorted(map(form.format, numbers)) == [form.format(number) for number in sorted(numbers)]


@given(st.lists(st.text()))
def test_any_names_have_one_order(names):
    ordered = natural_sorted(names)
    assert natural_sorted(reversed(ordered)) == ordered
    assert len({natural_key(name) for name in names}) == len(set(names))
