import pytest

from vadlab.datasets.formats.class_names import UCF_CRIME_CLASSES, XD_VIOLENCE_CLASSES
from vadlab.datasets.formats.feature_labels import find_label, parse_label

SHANGHAITECH = ('Normal', 'Anomaly')


@pytest.mark.parametrize(
    ('text', 'classes', 'expected'),
    [
        ('Abuse', UCF_CRIME_CLASSES, ('Abuse', 1, (1,))),
        ('normal', UCF_CRIME_CLASSES, ('Normal', 0, (0,))),
        ('G-B2-B6', XD_VIOLENCE_CLASSES, ('G-B2-B6', 6, (6, 2, 5))),
        ('B4-0-0', XD_VIOLENCE_CLASSES, ('B4-0-0', 3, (3,))),
        ('A', XD_VIOLENCE_CLASSES, ('A', 0, (0,))),
        ('Normal', XD_VIOLENCE_CLASSES, ('A', 0, (0,))),
        ('0', SHANGHAITECH, ('Normal', 0, (0,))),
        ('1.0', SHANGHAITECH, ('Anomaly', 1, (1,))),
        ('1', UCF_CRIME_CLASSES, (None, -1, ())),
        ('fighting,chasing', ('Normal', 'chasing', 'fighting'), ('fighting,chasing', 2, (2, 1))),
    ],
)
def test_labels(text, classes, expected):
    assert parse_label(text, classes) == expected


def test_unknown_class():
    with pytest.raises(ValueError, match="'B3' is not a class"):
        parse_label('B1-B3-0', XD_VIOLENCE_CLASSES)


@pytest.mark.parametrize('text', ['NaN', 'inf', '2', '-1', '0.5', '', 'Normal-Abuse', 'Abuse,Normal'])
def test_what_is_no_label(text):
    with pytest.raises(ValueError, match='is not a class|normal and anomalous at once'):
        parse_label(text, UCF_CRIME_CLASSES)


def test_sources_in_their_order():
    def label(video_id, name, text=None, classes=UCF_CRIME_CLASSES, source='auto'):
        found = find_label(video_id, name, text, classes, source)
        return None if found is None else found.label

    assert label('Abuse001', 'Abuse001.npy', 'Arson') == UCF_CRIME_CLASSES.index('Arson')
    assert label('Abuse001', 'Abuse001.npy', 'Arson', source='path') == UCF_CRIME_CLASSES.index('Abuse')
    assert label('A.Film_label_G-0-0', 'A.Film_label_G-0-0__0.npy', classes=XD_VIOLENCE_CLASSES) == 6
    assert label('x', 'Fighting/x.npy') == UCF_CRIME_CLASSES.index('Fighting')
    assert label('x', 'Training_Normal_Videos_Anomaly/x.npy') == 0
    assert label('01_0014', '01_0014.npy', classes=SHANGHAITECH) == 1
    assert label('01_001', '01_001.npy', classes=SHANGHAITECH) == 0
    assert label('Basketball001', 'Basketball001.npy') is None
    assert label('Abuse001', 'Abuse001.npy', source='list') is None
    assert label('Abuse001', 'Abuse001.npy', source='name_suffix') is None
    assert label('01_0014', '01_0014.npy', source='path') is None
