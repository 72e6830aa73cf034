import pytest
import torch
import torch.nn.functional as F

from vadlab.checkpoints.checkpoint_io import load_weights, read_checkpoint, write_checkpoint
from vadlab.models.recognizers.distilled_recognizer import distillation_loss
from vadlab.utils.errors import CheckpointError, ConfigError

from .clips import AUDIO, HEADS, VIDEO, clips, recognizer, samples

STUDENT = dict(
    type='DistilledRecognizer',
    video_encoder={**VIDEO, 'channels': (8, 8)},
    fusion=dict(type='MBT', width=8, heads=2, layers=1),
)


@pytest.fixture
def teacher(tmp_path):
    model = recognizer(seed=5).eval()
    write_checkpoint({'state_dict': model.state_dict()}, tmp_path / 'teacher.pth')
    (tmp_path / 'teacher.py').write_text(
        f'model = dict(type="AudioVisualRecognizer", video_encoder={VIDEO}, audio_encoder={AUDIO}, '
        f'fusion=dict(type="MBT", width=16, heads=2, bottlenecks=2), heads={HEADS}, '
        'data_preprocessor=dict(type="mmengine.BaseDataPreprocessor"))\n'
    )
    return model, dict(config=str(tmp_path / 'teacher.py'), checkpoint=str(tmp_path / 'teacher.pth'))


def test_single_label_distillation_equals_torch():
    torch.manual_seed(0)
    student, teacher = torch.randn(4, 5), torch.randn(4, 5)
    expected = 9 * F.kl_div((student / 3).log_softmax(1), (teacher / 3).softmax(1), reduction='batchmean')
    torch.testing.assert_close(distillation_loss(student, (teacher / 3).softmax(1), 3.0), expected)
    assert distillation_loss(teacher, (teacher / 3).softmax(1), 3.0).abs() < 1e-6


def test_multi_label_distillation_equals_divergence_of_two_classes_each():
    torch.manual_seed(0)
    student, teacher = torch.randn(4, 5), torch.randn(4, 5)

    def two(logits):
        return torch.stack([torch.zeros_like(logits), logits], -1)

    expected = 4 * F.kl_div(
        two(student / 2).log_softmax(-1), two(teacher / 2).softmax(-1), reduction='none'
    ).sum(-1).mean()  # fmt: skip
    torch.testing.assert_close(distillation_loss(student, (teacher / 2).sigmoid(), 2.0, True), expected)


def test_extreme_logits_stay_finite():
    logits = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    for multi_label in (False, True):
        target = torch.tensor([[0.0, 1.0, 0.0]])
        loss = distillation_loss(logits, target, 1.0, multi_label)
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(logits.grad).all()


def test_losses_equal_a_few_lines(teacher):
    model, source = teacher
    student = recognizer(
        **STUDENT, teacher=source, temperature=3.0, logit_weight=0.7, feature_weight=2.0, teacher_width=16
    )
    losses = student(clips(), samples(), mode='loss')
    fused, _ = student.fuse(clips())
    ours, labels = student.heads['species'](fused), torch.arange(3)
    with torch.no_grad():
        target = model.fuse(clips())[0]
        theirs = model.heads['species'](target)
    torch.testing.assert_close(losses['loss_species'], 0.3 * F.cross_entropy(ours, labels))
    divergence = F.kl_div((ours / 3).log_softmax(1), (theirs / 3).softmax(1), reduction='batchmean')
    torch.testing.assert_close(losses['loss_species_teacher'], 0.7 * 9 * divergence)
    torch.testing.assert_close(losses['loss_feature'], 2 * F.mse_loss(student.projection(fused), target))
    sum(value for name, value in losses.items() if name.startswith('loss')).backward()
    assert student.projection.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in student.teacher().parameters())
    assert not any(part.training for part in student.train().teacher().modules())


def test_checkpoint_equals_that_of_the_plain_student_and_resumes(teacher, tmp_path):
    _, source = teacher
    options = dict(teacher=source, feature_weight=1.0, teacher_width=16)
    student = recognizer(**STUDENT, **options).eval()
    write_checkpoint({'state_dict': student.state_dict()}, tmp_path / 'student.pth')
    state = read_checkpoint(tmp_path / 'student.pth')['state_dict']
    plain = recognizer(**{**STUDENT, 'type': 'AudioVisualRecognizer'}, seed=1).eval()
    load_weights(plain, state, 'student.pth')
    torch.testing.assert_close(plain(clips())['species'], student(clips())['species'])
    again = recognizer(**STUDENT, **options, seed=2)
    load_weights(again, state, 'student.pth')
    assert torch.equal(again.projection.weight, student.projection.weight)
    load_weights(again, plain.state_dict(), 'plain.pth')  # a checkpoint of the plain model has no projection


def test_testing_needs_no_teacher():
    student = recognizer(**STUDENT, teacher=dict(config='none.py', checkpoint='none.pth')).eval()
    assert student(clips(), samples(), mode='predict')[0].pred_scores['species'].shape == (3,)


@pytest.mark.parametrize('average', ['logits', 'probabilities'])
def test_views_of_late_fusion(teacher, average):
    fusion = dict(type='LateFusion', width=16, average=average)
    student = recognizer(**{**STUDENT, 'fusion': fusion}, teacher=teacher[1], feature_weight=1.0, teacher_width=16)
    losses = student(clips(), samples(), mode='loss')
    assert all(torch.isfinite(value) for value in losses.values())


@pytest.mark.parametrize('fusion', [{}, dict(type='LateFusion', average='probabilities'), dict(type='ConcatFusion')])
def test_a_batch_without_video(teacher, fusion):
    fusion = {'width': 8, 'type': 'MBT', 'heads': 2, **fusion}
    if fusion['type'] != 'MBT':
        del fusion['heads']
    student = recognizer(**{**STUDENT, 'fusion': fusion}, teacher=teacher[1], feature_weight=1.0, teacher_width=16)
    inputs = clips((True, True, True))
    inputs |= dict(video=torch.zeros(3, 0, 3, 0, 0), video_mask=torch.zeros(3, dtype=torch.bool))
    losses = student(inputs, samples(), mode='loss')
    with torch.no_grad():
        softened = (teacher[0](inputs)['species'] / student.temperature).softmax(-1)
        shares = student.fuse(inputs)[1]
        apart = distillation_loss(student(inputs)['species'], softened, student.temperature, shares=shares)
    torch.testing.assert_close(losses['loss_species_teacher'], student.logit_weight * apart)
    sum(value for name, value in losses.items() if name.startswith('loss')).backward()
    assert all(p.grad is None for p in student.encoders['video'].parameters())
    assert any(p.grad is not None for p in student.encoders['audio'].parameters())


def test_teachers_that_do_not_fit_are_rejected(teacher):
    _, source = teacher
    other = {**HEADS, 'species': dict(type='ClassificationHead', classes=('deer', 'fox'))}
    with pytest.raises(
        CheckpointError, match=r'other classes of species than the student: 3 \(deer, fox, owl\) against'
    ):
        recognizer(**STUDENT, heads=other, teacher=source).init_weights()
    with pytest.raises(ConfigError, match='has 16 channels; set teacher_width'):
        recognizer(**STUDENT, teacher=source, feature_weight=1.0).init_weights()
    with pytest.raises(ConfigError, match='must name a config and a checkpoint'):
        recognizer(**STUDENT, teacher=dict(config='a.py'))
    with pytest.raises(ConfigError, match='temperature must be > 0, not 0'):
        recognizer(**STUDENT, teacher=source, temperature=0)
