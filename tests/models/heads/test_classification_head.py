import math

import pytest
import torch
import torch.nn.functional as F

from vadlab.models.heads.classification_head import ClassificationHead, class_weights_of
from vadlab.utils.errors import CheckpointError, ConfigError, DataError

CSV = """clip_id,video,split,species,behaviour
a,a.mp4,train,fox,runs;eats
b,b.mp4,train,fox,runs
c,c.mp4,train,deer,eats
d,d.mp4,val,owl,sings
e,e.mp4,train,fox,
"""


@pytest.fixture
def metadata(tmp_path):
    path = tmp_path / 'clips.csv'
    path.write_text(CSV)
    return str(path)


def head(**options):
    torch.manual_seed(0)
    return ClassificationHead(4, **{**dict(column='species', classes=('a', 'b', 'c')), **options})


LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0], [-1.0, 0.0, 1.5]])
LABELS = torch.tensor([0, 1, 0])
SHARES = torch.tensor([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])
MANY = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1]])


def test_single_label_loss_equals_torch():
    torch.testing.assert_close(head().loss(LOGITS, LABELS), F.cross_entropy(LOGITS, LABELS))
    torch.testing.assert_close(head(loss_weight=3.0).loss(LOGITS, SHARES), 3 * F.cross_entropy(LOGITS, SHARES))
    expected = F.cross_entropy(LOGITS, LABELS, label_smoothing=0.2)
    torch.testing.assert_close(head(label_smoothing=0.2).loss(LOGITS, LABELS), expected)


def test_indices_and_shares_of_the_same_labels_have_the_same_loss(metadata):
    model = ClassificationHead(4, 'species', metadata, class_weights='inverse', label_smoothing=0.1)
    labels = torch.tensor([0, 1, 1])
    logits = LOGITS[:, :2]
    torch.testing.assert_close(model.loss(logits, labels), model.loss(logits, F.one_hot(labels, 2).float()))


def test_multi_label_loss_equals_torch():
    model = head(multi_label=True)
    torch.testing.assert_close(model.loss(LOGITS, MANY), F.binary_cross_entropy_with_logits(LOGITS, MANY))
    smooth = head(multi_label=True, label_smoothing=0.2).loss(LOGITS, MANY)
    torch.testing.assert_close(smooth, F.binary_cross_entropy_with_logits(LOGITS, 0.8 * MANY + 0.1))


def test_loss_by_hand():
    # Two classes, logits 0 and ln 3: probabilities 1/4 and 3/4.
    logits = torch.tensor([[0.0, math.log(3)]])
    model = head(classes=('a', 'b'))
    assert model.loss(logits, torch.tensor([0])).item() == pytest.approx(math.log(4))
    assert model.scores(logits).tolist() == [[pytest.approx(0.25), pytest.approx(0.75)]]
    both = head(classes=('a', 'b'), multi_label=True)
    assert both.scores(logits).tolist() == [[0.5, pytest.approx(0.75)]]


def test_class_weights_by_hand(metadata):
    # Effective numbers with beta 0.5: 1 and 1 + 0.5 + 0.25 = 1.75.
    effective = [1 / 1, 1 / 1.75]
    expected = torch.tensor(effective) / sum(effective) * 2
    torch.testing.assert_close(class_weights_of([1, 3], 'effective', 0.5), expected)
    torch.testing.assert_close(class_weights_of([1, 3], 'effective', 1 - 1e-9), class_weights_of([1, 3], 'inverse'))
    assert class_weights_of([1, 3], 'effective', 0.0).tolist() == [1, 1]
    # deer is in one clip for training, fox in three; the owl is in none.
    model = ClassificationHead(4, 'species', metadata, class_weights='inverse')
    assert model.classes == ('deer', 'fox')
    assert model.class_weights.tolist() == [1.5, 0.5]
    logits, labels = LOGITS[:, :2], torch.tensor([0, 1, 1])
    each = F.cross_entropy(logits, labels, reduction='none') * torch.tensor([1.5, 0.5, 0.5])
    torch.testing.assert_close(model.loss(logits, labels), each.mean())


def test_class_weights_apply_to_positive_labels_with_several_labels(metadata):
    model = ClassificationHead(4, 'behaviour', metadata, multi_label=True, class_weights='inverse')
    assert model.classes == ('eats', 'runs')
    assert model.class_weights.tolist() == [1, 1]  # two clips each
    model.class_weights = torch.tensor([2.0, 1.0])
    logits, targets = LOGITS[:, :2], MANY[:, :2]
    p = logits.sigmoid()
    each = -(torch.tensor([2.0, 1.0]) * targets * p.log() + (1 - targets) * (1 - p).log())
    torch.testing.assert_close(model.loss(logits, targets), each.mean())


def test_unknown_labels_are_skipped():
    model = head()
    labels = torch.tensor([0, -1, 0])
    torch.testing.assert_close(model.loss(LOGITS, labels), F.cross_entropy(LOGITS, labels, ignore_index=-1))
    assert model.loss(LOGITS, torch.tensor([-1, -1, -1])).item() == 0


def test_extreme_logits_stay_finite():
    for model, targets in ((head(), LABELS), (head(multi_label=True), MANY)):
        logits = (LOGITS * 1e4).requires_grad_()
        loss = model.loss(logits, targets)
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize('multi_label', [False, True])
def test_gradient_equals_finite_differences(multi_label):
    model = head(multi_label=multi_label, label_smoothing=0.1)
    logits = LOGITS.double().requires_grad_()
    targets = MANY.double() if multi_label else LABELS
    eps = 1e-3
    loss = model.loss(logits, targets)
    loss.backward()
    moved = LOGITS.double()
    moved[0, 1] += eps
    back = LOGITS.double()
    back[0, 1] -= eps
    slope = (model.loss(moved, targets) - model.loss(back, targets)) / (2 * eps)
    assert logits.grad[0, 1].item() == pytest.approx(slope.item(), abs=1e-4)


def test_labels_of_a_batch():
    model = head()
    assert model.targets_of([torch.tensor(2), torch.tensor(-1)]).tolist() == [2, -1]
    mixed = model.targets_of([torch.tensor(2), torch.tensor([0.25, 0.75, 0.0])])
    assert mixed.tolist() == [[0, 0, 1], [0.25, 0.75, 0]]
    for label in (torch.tensor(3), torch.tensor([1.0, 0.0])):
        with pytest.raises(DataError, match='species: label .* does not fit 3 classes'):
            model.targets_of([label])
    with pytest.raises(DataError, match='of which a clip may have several'):
        head(multi_label=True).targets_of([torch.tensor(1)])


def test_classes_are_saved_with_the_weights():
    state = head().state_dict()
    assert state['_extra_state'] == {'classes': ['a', 'b', 'c']}
    head().load_state_dict(state)
    with pytest.raises(CheckpointError, match='other classes of species: 3 there, 3 in .*: c; only in the metadata: d'):
        head(classes=('a', 'b', 'd')).load_state_dict(state)


def test_invalid_settings_are_rejected(metadata):
    with pytest.raises(ConfigError, match='species: give metadata'):
        ClassificationHead(4, 'species')
    with pytest.raises(ConfigError, match='needs metadata, to count'):
        head(class_weights='inverse')
    with pytest.raises(ConfigError, match="class_weights='balanced' must be"):
        head(class_weights='balanced')
    with pytest.raises(ConfigError, match='label_smoothing=1.0 .* must be in 0..1'):
        head(label_smoothing=1.0)
    with pytest.raises(DataError, match="no column 'specie'"):
        ClassificationHead(4, 'specie', metadata)
