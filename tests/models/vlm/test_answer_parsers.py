import pytest

from vadlab.models.vlm.answer_parsers import BracketParser, Reading, ScoreParser, YesNoParser, is_refusal

CLASSES = ('Normal', 'Fighting', 'RoadAccidents', 'Other')


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('{"reason": "two men fight", "class": "fighting", "score": 0.8}', (0.8, 'Fighting', 'two men fight')),
        ('```json\n{"score": "0.25", "class": "Normal", "reason": ""}\n```', (0.25, 'Normal', '')),
        ('I looked {closely}. {"score": 1, "class": "a dragon"}', (1.0, '', '')),
        ('{"score": 0,7, "reason": "ein Mann rennt"}', (0.7, '', 'ein Mann rennt')),
        ('{"reason": "two men fight", "class": "Fighting", "score": 0.6', (0.6, 'Fighting', 'two men fight')),
        ('Punktzahl: 0,8. Zwei Personen rennen.', (0.8, '', 'Punktzahl: 0,8. Zwei Personen rennen.')),
        ('可能性是 0.35，没有异常。', (0.35, '', '可能性是 0.35，没有异常。')),
        ('I am 80 % sure that this is Fighting', (0.8, 'Fighting', 'I am 80 % sure that this is Fighting')),
        ('8/10', (0.8, '', '8/10')),
        ('<think>maybe 0.9 or 0.1</think>{"score": 0.2}', (0.2, '', '')),
        ('.5', (0.5, '', '.5')),
        ('1.', (1.0, '', '1.')),
        ('The score is 1', (1.0, '', 'The score is 1')),
        ('2 men, pre-1 risk: 0.3', (0.3, '', '2 men, pre-1 risk: 0.3')),
        ('{"score": "8/10"}', (0.8, '', '')),
    ],
)
def test_score_is_read(text, expected):
    assert ScoreParser()(text, CLASSES) == Reading(*expected)


@pytest.mark.parametrize(
    'text',
    [
        '',
        'Nothing unusual.',
        '{"reason": "two men',
        '{"score": 7}',
        '{"score": true}',
        'between 0.2 and 0.9',
        'at 12.5 seconds',
        'There is 1 person on the street.',
        '-1',
        'Risk: -0.8',
        '{"score": -1, "reason": "cannot be told"}',
        '{"score": 85, "reason": "0.5 s of a fight"}',
        '{"reason": "x", "score": 1e400}',
        '{"reason": "x", "score": 1e-2',
        '{"score": null, "class": "Normal"}',
        "I'm sorry, but I can't help with that.",
    ],
)
def test_text_without_score_is_not_read_as_zero(text):
    assert ScoreParser()(text, CLASSES) is None


def test_long_reason_is_cut():
    assert len(ScoreParser()('{"score": 0.5, "reason": "' + 'a ' * 2000 + '"}').reason) == 300


def test_reason_has_no_control_characters():
    answer = '{"score": 0.5, "reason": "a\\u0000\\u001b[31mred\\u202e <b>man</b>"}'
    assert ScoreParser()(answer).reason == 'a [31mred <b>man</b>'


def test_schema_allows_the_classes_once():
    schema = ScoreParser().schema(('Normal', 'Fighting', 'Fighting'))
    assert schema['properties']['class']['enum'] == ['Normal', 'Fighting']
    assert set(schema['required']) == set(schema['properties'])


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('Answers: a man runs.\nOutput:\n1', (1.0, '', 'Answers: a man runs.')),
        ('A quiet street.\n```\n[0]\n```', (0.0, '', 'A quiet street.')),
        ('1. A man.\n2. No car.\nYes, there is an anomaly', (1.0, '', '1. A man. 2. No car.')),
        ('Output: 0', (0.0, '', '')),
        ('No, there is no anomaly.', (0.0, '', 'No, there is no anomaly.')),
        ('1. No.\n2. Yes.\nOutput:\n0 (normal)', (0.0, '', '1. No. 2. Yes.')),
        ('1. No.\n**Output:**\n1.', (1.0, '', '1. No. **Output:**')),
        ('1. Yes.\nThe final answer is no.', (0.0, '', '1. Yes.')),
        ('是的。\n输出：1', (1.0, '', '是的。')),
    ],
)
def test_yes_or_no_is_read_from_the_last_line_that_decides(text, expected):
    assert YesNoParser()(text) == Reading(*expected)


@pytest.mark.parametrize('text', ['', 'A street at night.', 'Score 10', 'There is no information on this.'])
def test_neither_yes_nor_no(text):
    assert YesNoParser()(text) is None


@pytest.mark.parametrize(
    'text', ['1. No, nobody runs.\n2. The ca', '1. No.\n2. Yes, there is', 'Questions\n1.', '- Yes, he']
)
def test_answers_to_guiding_questions_are_no_decision(text):
    assert YesNoParser()(text) is None


def test_number_in_brackets():
    read = BracketParser()
    assert read('[0.7]') == Reading(0.7)
    assert read('The answer is [ 1 ] .') == Reading(1.0)
    assert read('评分：【0.7】') == Reading(0.7)
    assert read('[3]') is None
    assert read('0.7') is None


def test_refusals():
    assert is_refusal('I\u2019m sorry, I cannot assist with this request')
    assert not is_refusal('A man says sorry to a woman.')
    assert is_refusal(" I'm sorry, I can't describe this.", at_start=True)
    assert not is_refusal('A sign reads: "I am sorry".', at_start=True)
