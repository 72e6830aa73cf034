import json
import re

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from sklearn.metrics import average_precision_score, roc_auc_score

from vadlab.datasets.formats.class_names import UCF_CRIME_CLASSES
from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError, DataError

# Name, class, frames, intervals: every anomaly class once, one video with two intervals, one interval that reaches
# beyond the rounded end.
VIDEOS = [
    (f'{name}{i:03d}_x264', name, 160 + 32 * i, [(16 * i + 5, 16 * i + 50)])
    for i, name in enumerate(UCF_CRIME_CLASSES[1:])
]
VIDEOS[3] = (*VIDEOS[3][:3], [(3, 40), (200, VIDEOS[3][2] + 9)])
VIDEOS += [(f'Normal_Videos_{i:03d}_x264', 'Normal', 320, []) for i in range(4)]


@pytest.fixture(scope='module')
def main(load_tool):
    """``main`` of tools/eval_scores.py."""
    return load_tool('eval_scores').main


@pytest.fixture
def ucf(tmp_path):
    """A small set of UCF-Crime's form, and what scores it."""
    lines, frames, labels, classes = [], {}, {}, {}
    for name, class_name, count, intervals in VIDEOS:
        numbers = [number for interval in intervals for number in interval] + [-1, -1, -1, -1]
        lines.append('  '.join([f'{name}.mp4', class_name, *map(str, numbers[:4])]))
        frames[name], labels[name] = count, np.zeros(count)
        classes[name] = np.zeros((count, 14), np.float32)
        for start, end in intervals:
            labels[name][start:end] = 1
            classes[name][start:end, UCF_CRIME_CLASSES.index(class_name)] = 1
        classes[name][:, 0] = 1 - labels[name]
    (tmp_path / 'annotation.txt').write_text('\n'.join(lines))
    (tmp_path / 'frames.json').write_text(json.dumps(frames))
    return Ucf(tmp_path, frames, labels, classes)


class Ucf:
    def __init__(self, folder, frames, labels, classes):
        self.folder, self.frames, self.labels, self.classes = folder, frames, labels, classes

    def write(self, scores, name='scores'):
        """As a folder of .npy."""
        (self.folder / name).mkdir(exist_ok=True)
        for video, array in scores.items():
            np.save(self.folder / name / f'{video}.npy', array)
        return str(self.folder / name)

    def arguments(self, pred, *more):
        ann, frames, out = (str(self.folder / name) for name in ('annotation.txt', 'frames.json', 'out/metrics.json'))
        return ['--pred', pred, '--ann', ann, '--frames', frames, '--protocol', 'ucf-crime', '--out', out, *more]

    def score(self, main, scores, *more):
        """The report of scores by video."""
        assert main(self.arguments(self.write(scores), *more)) == 0
        return json.loads((self.folder / 'out/metrics.json').read_text())


def test_oracle_constant_random_and_reversed_scores(main, ucf):
    rng = np.random.default_rng(0)
    shapes = {
        'oracle': (ucf.labels, 1.0),
        'constant': ({name: np.full(n, 0.3) for name, n in ucf.frames.items()}, 0.5),
        'reversed': ({name: 1 - label for name, label in ucf.labels.items()}, 0.0),
        'random': ({name: rng.random(n) for name, n in ucf.frames.items()}, None),
    }
    truth = np.concatenate(list(ucf.labels.values()))
    for scores, expected in shapes.values():
        found = ucf.score(main, scores)['metrics']
        stacked = np.concatenate(list(scores.values()))
        assert found['frame/auc'] == pytest.approx(roc_auc_score(truth, stacked), abs=1e-12)
        assert found['frame/ap'] == pytest.approx(average_precision_score(truth, stacked), abs=1e-12)
        assert found['frame/auc'] == pytest.approx(0.5 if expected is None else expected, abs=0.05 * (expected is None))
        if expected is not None:
            assert found['frame/ano_auc'] == found['frame/macro_auc'] == expected


def test_segments_of_an_oracle_in_both_modes(main, ucf, capsys):
    report = ucf.score(main, ucf.classes)
    keys = [f'segment/map{suffix}' for suffix in ('', '@0.1', '@0.2', '@0.3', '@0.4', '@0.5')]
    assert [report['metrics'][key] for key in keys] == pytest.approx([13 / 14] * 6)
    assert report['metrics']['frame/mauc'] == 1
    report = ucf.score(main, ucf.classes, '--mode', 'standard')
    assert [report['metrics'][key] for key in keys] == [1] * 6
    assert set(report['protocol']) == set(report['metrics'])
    printed = capsys.readouterr().out
    # Each number stands beside its protocol, and the one that papers report is marked.
    assert 'frame/auc *' in printed
    for key in keys:
        assert report['protocol'][key] in printed


def test_report_says_every_choice(main, ucf):
    report = ucf.score(main, ucf.labels, '--ap', 'trapezoid', '--macro', 'pad01', '--far-threshold', '0.7')
    assert report['options']['ap_mode'] == 'trapezoid'
    assert report['options']['protocol'] == 'ucf-crime'
    assert report['options']['unit'] == 'frame'
    assert 'trapezoid' in report['protocol']['frame/ap']
    assert 'pad01' in report['protocol']['frame/macro_auc']
    assert '>= 0.7' in report['protocol']['frame/far']
    assert 'intervals half_open' in report['protocol']['frame/auc']
    assert report['class_metrics'] == {}
    assert 'numpy' in report['versions']


def test_snippet_scores_are_told_by_their_number_and_equal_repeated_ones(main, ucf, capsys):
    rng = np.random.default_rng(1)
    snippets = {name: rng.random(n // 16) for name, n in ucf.frames.items()}
    found = ucf.score(main, snippets)
    assert 'scores are of snippets (told by their number)' in capsys.readouterr().out
    assert found['protocol']['frame/auc'].endswith('snippets of 16 frames, repeated')
    frames = {name: np.repeat(array, 16) for name, array in snippets.items()}
    assert ucf.score(main, frames)['metrics'] == found['metrics']
    linear = ucf.score(main, snippets, '--expand', 'linear', '--unit', 'snippet')
    assert linear['metrics']['frame/auc'] != found['metrics']['frame/auc']
    assert 'interpolated' in linear['protocol']['frame/auc']


def test_snippets_that_do_not_make_up_the_video(main, ucf, capsys):
    snippets = {name: np.zeros(n // 16 - (name == 'Arson002_x264')) for name, n in ucf.frames.items()}
    message = 'Arson002_x264: 13 snippets of 16 frames, 208 scores for 224 frames'
    fails(main, ucf.arguments(ucf.write(snippets)), message, capsys)
    assert ucf.score(main, snippets, '--length-policy', 'truncate')['metrics']['frame/auc'] == 0.5


def test_smoothing_is_named(main, ucf):
    rng = np.random.default_rng(2)
    snippets = {name: rng.random(n // 16) for name, n in ucf.frames.items()}
    plain = ucf.score(main, snippets)['metrics']['frame/auc']
    smoothed = ucf.score(main, snippets, '--smoothing', 'forward_window:7')
    assert smoothed['metrics']['frame/auc'] != plain
    assert 'forward_window(7)' in smoothed['protocol']['frame/auc']


def test_class_probabilities_beside_frame_scores_from_an_npz(main, ucf):
    np.savez(ucf.folder / 'classes.npz', **ucf.classes)
    reversed_scores = {name: 1 - label for name, label in ucf.labels.items()}
    found = ucf.score(main, reversed_scores, '--class-pred', str(ucf.folder / 'classes.npz'))['metrics']
    assert found['frame/auc'] == 0
    assert found['segment/map'] == pytest.approx(13 / 14)


def test_length_policy_says_how_many_videos_it_touched(main, ucf, capsys):
    short = {name: label[: -3 * name.startswith('A') or None] for name, label in ucf.labels.items()}
    report = ucf.score(main, short, '--length-policy', 'pad_last')
    assert '4 videos have scores of another length: pad_last' in capsys.readouterr().out
    assert report['options']['videos_of_another_length'] == 4
    assert 'other lengths: pad_last' in report['protocol']['frame/auc']
    assert report['metrics']['frame/auc'] > 0.99


def test_other_classes(main, ucf):
    columns = [0, 3, 7]
    kept = [name for name in ucf.frames if name.startswith(('Arson', 'Fighting', 'Normal'))]
    lines = (ucf.folder / 'annotation.txt').read_text().splitlines()
    (ucf.folder / 'annotation.txt').write_text('\n'.join(line for line in lines if line.split('.mp4')[0] in kept))
    (ucf.folder / 'frames.json').write_text(json.dumps({name: ucf.frames[name] for name in kept}))
    scores = {name: ucf.classes[name][:, columns] for name in kept}
    report = ucf.score(main, scores, '--classes', 'Normal,Arson,Fighting', '--mode', 'standard')
    assert report['metrics']['segment/map'] == 1
    assert set(report['class_metrics']['segment AP (standard)']) == {'Arson', 'Fighting'}


def test_plots(main, ucf, capsys):
    pictures = ucf.folder / 'pictures'
    ucf.score(main, ucf.classes, '--plots', str(pictures), '--plot-videos', '2')
    names = sorted(path.name for path in pictures.rglob('*.png'))
    assert names[:1] + names[-3:] == ['Abuse000_x264.png', 'class_ap.png', 'class_auc.png', 'roc_pr.png']
    assert len(names) == 5
    assert f'picture: {pictures / "roc_pr.png"}' in capsys.readouterr().out


def test_boxes_against_tracks(main, ucf):
    found, true = ucf.folder / 'found', ucf.folder / 'true'
    for folder in (found, true):
        folder.mkdir()
    (true / 'Abuse000_x264.txt').write_text('\n'.join(f'0,{frame},0,0,9,9' for frame in range(5, 50)))
    (found / 'Abuse000_x264.txt').write_text('\n'.join(f'{frame},0,0,9,9,0.5' for frame in range(5, 50)))
    numbers = ucf.score(main, ucf.labels, '--detections', str(found), '--tracks', str(true))['metrics']
    assert [numbers[f'space/{key}'] for key in ('miou', 'tiou', 'rbdc', 'tbdc')] == [1, 1, 1, 1]


def test_one_class_only_is_null_and_no_crash(main, ucf):
    kept = [name for name in ucf.frames if name.startswith('Normal')]
    lines = (ucf.folder / 'annotation.txt').read_text().splitlines()
    (ucf.folder / 'annotation.txt').write_text('\n'.join(line for line in lines if line.startswith('Normal')))
    (ucf.folder / 'frames.json').write_text(json.dumps({name: ucf.frames[name] for name in kept}))
    metrics = ucf.score(main, {name: ucf.classes[name] for name in kept}, '--plots', str(ucf.folder / 'p'))['metrics']
    assert metrics['frame/auc'] is None
    assert metrics['frame/mauc'] is None
    assert metrics['frame/far'] == 0


def test_shanghaitech_ped2_and_avenue(main, tmp_path, capsys):
    truth = {'a': [0, 1, 1, 0, 0], 'b': [0, 0, 1]}
    masks, mats, bmps = (tmp_path / name for name in ('masks', 'mats', 'bmps'))
    for folder in (masks, mats, bmps):
        folder.mkdir()
    names = {'shanghaitech': ('01_0014', '02_0128'), 'avenue': ('1', '02'), 'ped2': ('Test001', 'Test002')}
    for number, flags in enumerate(truth.values()):
        np.save(masks / f'{names["shanghaitech"][number]}.npy', flags)
        cells = np.empty((1, len(flags)), dtype=object)
        folder = bmps / f'{names["ped2"][number]}_gt'
        folder.mkdir()
        for i, flag in enumerate(flags):
            cells[0, i] = np.full((2, 2), flag, np.uint8)
            Image.fromarray(cells[0, i] * 255).save(folder / f'{i:03d}.bmp')
        savemat(mats / f'{number + 1}_label.mat', {'volLabel': cells})
    for protocol, folder in (('shanghaitech', masks), ('avenue', mats), ('ped2', bmps)):
        pred = tmp_path / f'{protocol}.npz'
        np.savez(pred, **dict(zip(names[protocol], map(np.array, truth.values()), strict=True)))
        assert main(['--pred', str(pred), '--ann', str(folder), '--protocol', protocol]) == 0
        printed = capsys.readouterr().out
        assert '2 videos, 8 frames, 3 of them anomalous' in printed
        assert 'frame/auc *      1.0000' in printed


def bad_inputs():
    def shorter(scores):
        scores['Arson002_x264'] = scores['Arson002_x264'][:-5]

    def nan(scores):
        scores['Arson002_x264'] = np.where(np.arange(224) == 7, np.nan, 0.5)

    def missing(scores):
        del scores['Arson002_x264']

    def extra(scores):
        scores['Arson003_x264'] = np.zeros(9)

    def mixed(scores):
        scores['Arson002_x264'] = np.zeros((224, 14))

    def fewer_classes(scores):
        for name, array in scores.items():
            scores[name] = np.zeros((len(array), 13))

    return [
        (shorter, r'Arson002_x264: 219 scores for 224 frames .*1 of 17 videos differ.*policy truncate or pad_last'),
        (nan, r'Arson002_x264: 1 of 224 scores are NaN or infinite'),
        (missing, r'1 of 17 annotated videos have no predictions \(first: Arson002_x264\)'),
        (extra, r"1 of 18 predictions .*not in the annotation \(first: Arson003_x264\)\. Did you mean 'Arson002_x264'"),
        (mixed, r'Abuse000_x264 has scores of shape \(N,\), Arson002_x264 class probabilities'),
        (fewer_classes, r'Abuse000_x264: class probabilities .*\(160, 13\); ucf-crime has 14 classes: Normal, Abuse'),
    ]


@pytest.mark.parametrize(('spoil', 'message'), bad_inputs(), ids=lambda value: getattr(value, '__name__', ''))
def test_predictions_that_cannot_be_used_are_one_message_and_status_2(main, ucf, capsys, spoil, message):
    scores = dict(ucf.labels)
    spoil(scores)
    fails(main, ucf.arguments(ucf.write(scores)), message, capsys)


@pytest.mark.parametrize(
    ('before', 'after', 'message'),
    [
        ('37  82', '82  37', 'has an interval that ends before it starts: 82 37'),
        ('37  82', '37  800', r'1 intervals in .* lie outside their video \(Arson002_x264: 37 to 800 of 224 frames\)'),
        ('Arson002', 'Arson009', r'no annotation .*\(first: Arson002_x264\)\. Did you mean'),
        ('Arson  ', 'Arsn  ', r"Arson002_x264: 'Arsn'. Did you mean 'Arson' or 'Arrest'.*--classes"),
    ],
)
def test_annotations_that_cannot_be_used_are_one_message_and_status_2(main, ucf, capsys, before, after, message):
    path = ucf.folder / 'annotation.txt'
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    fails(main, ucf.arguments(ucf.write(ucf.labels)), message, capsys)


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (['--protocol', 'ucf_crime'], "no protocol 'ucf_crime'. Did you mean 'ucf-crime'"),
        (['--smoothing', 'gauss'], 'choose none, forward_window'),
        (['--smoothing', 'fixed_blocks:8', '--expand', 'linear'], 'smoothing averages repeated snippet scores'),
        (['--classes', 'Normal'], 'classes must name Normal and at least one anomaly'),
        (['--classes', 'Normal,Fire,fire'], 'differ in more than capital letters, not Fire and fire'),
        (['--snippet-len', '0'], 'snippet_len is 0'),
        (['--far-threshold', '7'], 'far_threshold is 7'),
        (['--ious', '0'], 'IoU thresholds above 0'),
        (['--out', 'metrics.txt'], 'must end with .json'),
        (['--detections', '.'], 'There is no NAME.txt'),
        (['--ann', 'none.txt'], 'There is no temporal annotation file none.txt'),
        (['--pred', 'none'], 'There are no predictions at none'),
        (['--frames', 'none.json'], 'There is no file none.json'),
    ],
)
def test_choices_that_cannot_be_are_one_message_and_status_2(main, ucf, capsys, more, message):
    fails(main, [*ucf.arguments(ucf.write(ucf.labels)), *more], message, capsys)


def fails(main, arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        run_cli(lambda: main(arguments))
    said = capsys.readouterr().err.strip()
    assert caught.value.code == 2
    assert said.startswith('error: ')
    assert '\n' not in said
    assert re.search(message, said), said


def test_class_values_that_are_no_probabilities_are_refused(main, ucf):
    name = next(iter(ucf.classes))
    ucf.classes[name] = 10 * ucf.classes[name] - 5
    with pytest.raises(DataError, match=f'{name}: class probabilities from -5 to 5; they lie in 0..1'):
        main(ucf.arguments(ucf.write(ucf.classes)))


def test_protocol_of_another_data_set_is_refused(main, ucf):
    arguments = ucf.arguments(ucf.write(ucf.labels))
    arguments[arguments.index('ucf-crime')] = 'xd-violence'
    with pytest.raises(DataError, match='not an annotation of XD-Violence: no video is named like'):
        main(arguments)


def test_a_report_that_cannot_be_written_is_found_before_scoring(main, ucf, capsys):
    (ucf.folder / 'out').write_text('a file, not a folder')
    with pytest.raises(ConfigError, match='--out .*metrics.json cannot be written'):
        main(ucf.arguments(ucf.write(ucf.labels)))
    assert not capsys.readouterr().out
