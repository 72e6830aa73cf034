"""Every function that reads a file from outside, with a valid example."""
# ruff: noqa: E501 - a row per reader

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.structures import InstanceData
from PIL import Image
from safetensors.torch import save_file
from scipy.io import savemat

from tests.datasets.formats.wildlife_layouts.test_wildlife_layouts import AR, write_workbook
from tests.datasets.wildlife_clips import tone, write_clip, write_wav
from tests.models.released_fgclip2 import write_released, write_tokenizer
from tools.eval_captions import read_candidates, read_captions
from vadlab.apis.checked_files import cached_check
from vadlab.apis.features.comparison import FeatureSet
from vadlab.apis.features.feature_writer import all_markers, is_done, is_whole
from vadlab.apis.features.recipe import read_recipe
from vadlab.apis.features.video_list import find_videos
from vadlab.apis.inferencers.video_inputs import read_prompts
from vadlab.apis.live.camera_specs import read_specs
from vadlab.apis.modality_ablation import read_subsets
from vadlab.apis.preparation.split_files import write_split_files
from vadlab.apis.publishing.published_metrics import read_report
from vadlab.apis.service.access import read_token
from vadlab.apis.service.content_check import check_content
from vadlab.apis.service.job_store import JobStore, read_outcome
from vadlab.apis.sweeps.sweep import read_trial
from vadlab.checkpoints import read_tensor_file
from vadlab.checkpoints.checkpoint_io import read_checkpoint
from vadlab.checkpoints.published_weights import write_published
from vadlab.datasets.audio.audio_reader import read_audio
from vadlab.datasets.formats.av_clip_metadata import read_metadata
from vadlab.datasets.formats.caption_files import read_caption_files
from vadlab.datasets.formats.cvat import convert_cvat
from vadlab.datasets.formats.feature_files import FeatureShape, open_features, read_feature_shape
from vadlab.datasets.formats.feature_lists import read_feature_list
from vadlab.datasets.formats.frame_counts import read_frame_counts
from vadlab.datasets.formats.frame_masks import read_frame_masks
from vadlab.datasets.formats.label_studio import convert_label_studio
from vadlab.datasets.formats.marks import convert_marks
from vadlab.datasets.formats.one_class_layouts import find_clips
from vadlab.datasets.formats.one_class_truth import (
    read_joined_labels,
    read_mat_intervals,
    read_ubnormal_tracks,
    read_ucsd_intervals,
)
from vadlab.datasets.formats.patch_store import PatchStore
from vadlab.datasets.formats.pixel_masks import read_avenue_masks, read_ped2_masks
from vadlab.datasets.formats.pixel_truth import PixelTruth
from vadlab.datasets.formats.prepared_av_clips import (
    PreparedAVClip,
    load_frames,
    load_mel,
    read_manifest,
    read_prepared_recipe,
)
from vadlab.datasets.formats.region_annotations import RecordParser, load_records
from vadlab.datasets.formats.shape_index import load_index, renew
from vadlab.datasets.formats.temporal_annotations import read_temporal_annotations
from vadlab.datasets.formats.wildlife_layouts import LAYOUTS
from vadlab.datasets.problem_list import ProblemList
from vadlab.datasets.video import index_video, read_frames
from vadlab.datasets.video.image_reader import read_image
from vadlab.evaluation.calibration import CalibrationFile
from vadlab.evaluation.functional.captions import WordNet
from vadlab.evaluation.protocols import PROTOCOLS, read_ground_truth
from vadlab.evaluation.region_files import DETECTION_COLUMNS, TRACK_COLUMNS, read_region_files
from vadlab.evaluation.score_files import read_scores
from vadlab.models.checkpoints import load_clip_checkpoint
from vadlab.models.checkpoints.concept_prompts import read_concept_features, read_concepts
from vadlab.models.checkpoints.fgclip2_loading import read_fgclip2
from vadlab.models.checkpoints.hugging_face_folder import read_folder_weights
from vadlab.models.data_preprocessors.audio_visual_data_preprocessor import read_statistics
from vadlab.models.heads.codebook import load_codebook, read_names, save_codebook
from vadlab.models.tokenizers import CLIPTokenizer, HuggingFaceTokenizer, WordVocabulary
from vadlab.models.vlm.answer_cache import AnswerCache
from vadlab.models.vlm.question_file import QuestionFile
from vadlab.models.vlm.request import Answer
from vadlab.structures.camera_state import (
    CameraEvent,
    CameraState,
    OpenEvent,
    append_event,
    load_curve,
    load_events,
    save_curve,
)
from vadlab.structures.video_result import Calibration, Event, RunInfo, Thresholds, VideoResult
from vadlab.text.document_frequencies import DocumentFrequencies
from vadlab.utils.hub_files import read_hub_manifest
from vadlab.utils.json_file import read_json, read_json_lines
from vadlab.utils.mat_file import read_mat
from vadlab.utils.npy_file import map_npy, open_npz, read_npy
from vadlab.utils.npy_list import read_npy_list
from vadlab.utils.plain_config import read_plain_config
from vadlab.visualization.figures.learning_curves import read_learning_curve
from vadlab.visualization.report.video_report import VideoReport, check_report_folder, read_entries

SHOWN = ('Normal', 'Abuse')


PUBLISHED = {
    'format': 1,
    'variables': {'data_root': 'data/a'},
    'settings': {'model': {'type': 'RTFM', 'sizes': {'__tuple__': [1, 2]}, 'file': '${data_root}/b'}},
}


@dataclass(frozen=True)
class Reader:
    """A reader.

    Attributes:
        name: Unique.
        module: Where the file is opened.
        file: What its example is called, below a folder of its own.
        kind: Of the file, as ``mutations.damage`` takes it.
        make: Writes the example to this path, and whatever must be beside it.
        read: Reads what is in the folder.
        share: Of the usual number of inputs; a reader that takes long gets fewer.
        is_forgiving: It never refuses: what it cannot use is as if it were not there.
        names_file: Whether its messages name the file; else its callers add the name.
    """

    name: str
    module: str
    file: str
    kind: str
    make: Callable[[Path], object]
    read: Callable[[Path], object]
    share: float = 1.0
    is_forgiving: bool = False
    names_file: bool = True


def _json(content):
    return lambda path: path.write_text(json.dumps(content), encoding='utf-8')


def _text(content):
    return lambda path: path.write_text(content, encoding='utf-8')


def _answers(path):
    cache = AnswerCache(path)
    for key in 'abc':
        cache.put(key, 'model', Answer('text' * 20, 5, 6, 0.5))
    cache.close()


def _read_answers(path):
    for beside in path.parent.glob(f'{path.name}-*'):
        beside.unlink()
    cache = AnswerCache(path)
    try:
        return [cache.get(key) for key in 'abcd']
    finally:
        cache.close()


def _jobs(path):
    store = JobStore(path.parent)
    for i in range(3):
        (store.incoming / 'part').write_bytes(b'video')
        store.add(f'{i:032x}', store.incoming / 'part', f'{i}.mp4', '.mp4', 5, 1.0, f'key {i}')
    store.take()
    store.close()


def _read_jobs(path):
    for beside in path.parent.glob(f'{path.name}-*'):
        beside.unlink()
    store = JobStore(path.parent)
    try:
        store.recover()
    finally:
        store.close()


SHAPES = [(b'a.npy', (200, 1, 2, 3), FeatureShape(4, None, 8)), (b'b/c.npy', (300, 4, 5, 6), FeatureShape(9, 10, 8))]


def _shape_index(path):
    renew(str(path.parent), SHAPES, [name for name, _, _ in SHAPES])


def _read_shape_index(folder):
    table = load_index(str(folder))
    if table.names:  # what is damaged must not be used
        assert table.names == [name for name, _, _ in SHAPES]
        assert table.stats.tolist() == [list(row) for _, row, _ in SHAPES]
        assert table.shapes.tolist() == [[4, 0, 8], [9, 10, 8]]


def _lines(*records):
    return lambda path: path.write_text(''.join(json.dumps(record) + '\n' for record in records), encoding='utf-8')


def _array(array):
    return lambda path: np.save(path, array)


REGION = {
    'caption': 'a man', 'start_frame': 1, 'end_frame': 9, 'flag_short_neg': 1, 'short_expr_negs': {'0': 'a cat'},
    'short_expr': 'man', 'keyframes': [{'frame': 1, 'bbox': [0.1, 0.2, 0.3, 0.4], 'enabled': True}],
}  # fmt: skip
RECORD = {'global_caption': 'A man walks.', 'bbox_info': [REGION]}
TRACK = {
    'id': 'r1', 'type': 'videorectangle', 'from_name': 'box', 'to_name': 'video', 'meta': {'text': ['a man']},
    'value': {
        'framesCount': 100, 'duration': 4.0, 'labels': ['Man'],
        'sequence': [
            {'frame': 1, 'x': 10, 'y': 20, 'width': 30, 'height': 40, 'enabled': True, 'rotation': 0, 'time': 0.04},
            {'frame': 9, 'x': 10, 'y': 20, 'width': 30, 'height': 40, 'enabled': False, 'rotation': 0, 'time': 0.4},
        ],
    },
}  # fmt: skip
SPAN = {
    'id': 's1', 'type': 'timelinelabels', 'from_name': 'time', 'to_name': 'video',
    'value': {'ranges': [{'start': 3, 'end': 9}], 'timelinelabels': ['Abuse']},
}  # fmt: skip
TEXT = {'id': 't', 'type': 'textarea', 'from_name': 'caption', 'to_name': 'video', 'value': {'text': ['A man walks.']}}
TASK = {
    'id': 1, 'data': {'video': '/data/upload/1/0a1b2c3d-Abuse001.mp4'},
    'annotations': [{'id': 4, 'updated_at': '2024-01-01', 'was_cancelled': False, 'result': [TRACK, SPAN, TEXT]}],
}  # fmt: skip
CAMERAS = {
    'timezone': 'UTC',
    'cameras': [
        {
            'name': 'door', 'source': 'rtsp://10.0.0.5/1', 'zones': {'gate': [[0.1, 0.2], [0.5, 0.2], [0.5, 1.0]]},
            'hours': ['mon-fri 18:00-07:00'], 'cooldown_s': 60,
        }
    ],
}  # fmt: skip
MARKS = {
    'format': 'vadlab marks', 'version': 1, 'report': 'x',
    'videos': [{'video': 'a.mp4', 'reviewed': True, 'marks': [{'kind': 'missed', 'start': 1, 'end': 5, 'label': None}]}],
}  # fmt: skip
CVAT = (
    '<annotations><meta><task><size>9</size><original_size><width>9</width><height>9</height></original_size>'
    '<source>a.mp4</source></task></meta>'
    '<track label="a man"><box frame="0" xtl="0" ytl="0" xbr="9" ybr="9" outside="0" keyframe="1"/></track>'
    '<track label="event: Abuse"><box frame="2" xtl="0" ytl="0" xbr="9" ybr="9" outside="0" keyframe="1"/>'
    '<box frame="4" xtl="0" ytl="0" xbr="9" ybr="9" outside="1" keyframe="1"/></track></annotations>'
)
COCO = {
    'images': [{'id': 1, 'file_name': 'a.png'}, {'id': 2, 'file_name': 'b.png'}],
    'annotations': [{'id': 7, 'image_id': 1, 'caption': 'a dog'}, {'id': 8, 'image_id': 2, 'caption': 'a cat'}],
}
KARPATHY = {
    'images': [
        {'filepath': 'val', 'filename': f'{i}.png', 'split': 'test', 'cocoid': i, 'sentences': [{'raw': 'a dog'}]}
        for i in range(2)
    ]
}
CLIP = PreparedAVClip(
    'fox/1', 'fox.mp4', 17, 0.0, 2.5, frames_shape=[2, 3, 4, 4], frames_bytes=9, frame_inds=[0, 5], times=[0.0, 0.5],
    num_frames=20, duration=2.0, fps=10.0, sound='track', file_rate=16000, mel_shape=[4, 6], mel_bytes=224,
)  # fmt: skip
METADATA = 'clip_id,video,split,species,start,end\nfox,fox.mp4,train,fox;wolf,0,2.5\nowl,owl.mp4,val,"owl",,\n'
ANNOTATION = 'Abuse001_x264.mp4  Abuse  16  48  -1  -1\nNormal_Videos_003_x264.mp4  Normal  -1  -1  -1  -1\n'
XD = 'v=a_label_B1-0-0 0 15 19 30\nv=b_label_A\n'


def _regions(path):
    records, _ = load_records(path)
    return RecordParser('short').parse(records, str(path))


def _caption_files(folder, **options):
    problems = ProblemList('captions')
    found = read_caption_files([str(folder / 'captions.json')], problems=problems, **options)
    problems.raise_if_any(str(folder / 'captions.json'), '')
    return found


def _make_ids(path):
    np.save(path, np.array([7, 8]))
    path.with_name('captions.json').write_text(json.dumps(COCO))


def _truth(folder, name, annotation):
    frames = {'Abuse001_x264': 64, 'Normal_Videos_003_x264': 64} if name == 'ucf-crime' else None
    frames = frames or {'v=a_label_B1-0-0': 64, 'v=b_label_A': 64}
    return read_ground_truth(PROTOCOLS[name], folder / annotation, frames)


def _counted_truth(folder):
    counts = read_frame_counts(folder / 'frames.json')
    (folder / 'ann.txt').write_text(ANNOTATION)
    truth = read_ground_truth(PROTOCOLS['ucf-crime'], folder / 'ann.txt', counts)
    return {name: video.frame_labels() if hasattr(video, 'frame_labels') else video for name, video in truth.items()}


def _save_npz(path):
    np.savez(path, Abuse001=np.linspace(0, 1, 8), Normal001=np.zeros(4))


def _frequencies(path):
    DocumentFrequencies.from_references([[('a', 'dog')], [('a', 'cat'), ('cat', 'a')]]).save(path)


def _make_mat(path):
    cells = np.empty((1, 3), object)
    for i in range(3):
        cells[0, i] = np.full((4, 5), i == 1, np.uint8)
    savemat(path, {'volLabel': cells})


def _mat_intervals(path):
    cells = np.empty((1, 2), object)
    cells[0, 0], cells[0, 1] = np.array([[2], [3]], np.uint8), np.zeros((2, 0))
    savemat(path, {'gt': cells})


def _ubnormal_list(path):
    path.write_text('normal_scene_1_scenario_1\n')
    (path.parent / 'Scene1').mkdir()
    (path.parent / 'Scene1' / 'normal_scene_1_scenario_1.mp4').touch()


def _picture(path):
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(path)


def _wordnet(path):
    for part in ('noun', 'verb', 'adj', 'adv'):
        path.with_name(f'index.{part}').write_text('  licence\n')
        path.with_name(f'{part}.exc').write_text('')
    path.write_text('  licence\ncar n 2 1 @ 2 1 02958343 02959942\nauto n 1 0 1 0 02958343\n')


def _xlsx_content(path):
    write_workbook(path, {'AR': AR})


def _store(path):
    folder = path.parent
    recipe = {'weights': 'abc', 'block': 2, 'steps': [], 'shape': [2, 3], 'dtype': 'float32'}
    (folder / 'recipe.json').write_text(json.dumps(recipe))
    (folder / 'images.jsonl').write_text('[1, "a.png", 5]\n["b", "b.png", 6]\n')
    (folder / 'patches.bin').write_bytes(bytes(48))


def _read_store(folder):
    store = PatchStore(folder)
    return [store.read(image_id) for image_id in (1, 'b') if image_id in store], store.problem_of('c', 'c.png')


def _features(path):
    np.save(path, np.ones((4, 8), np.float32))


def _marker(path):
    path.write_text(json.dumps({'video_bytes': 5, 'crops': 1, 'snippets': 4}))


def _codebook(path):
    save_codebook(path, ['dog', 'cat'], torch.eye(2, 4))


def _hugging_face(path):
    """A folder whose weights are too few to be used: what is read of the config is what is looked at."""
    path.write_text(
        json.dumps(
            {
                'text_config': {'num_attention_heads': 2, 'hidden_act': 'quick_gelu'},
                'vision_config': {'num_attention_heads': 2, 'hidden_act': 'quick_gelu', 'patch_size': 4},
            }
        )
    )
    save_file({'vision_model.embeddings.class_embedding': torch.ones(4)}, path.with_name('model.safetensors'))


def _result(path):
    boxes = InstanceData()
    boxes.frame_inds, boxes.boxes_xyxy, boxes.scores, boxes.track_ids = [1], np.ones((1, 4)), [0.5], [3]
    boxes.labels, boxes.reasons = ['a man'], ['']
    event = Event(0, 2, 1, 0.0, 0.08, 0.04, 0.9, 'Abuse')
    VideoResult(
        'a', 'a.mp4', 25.0, (8, 8), np.ones(4), np.arange(4), [0, 2], SHOWN, np.ones((2, 2)), (event,), boxes, [[0, 2]],
        Thresholds(0.5, 0.2),
    ).save(path.parent)  # fmt: skip


def _run(path):
    RunInfo(
        'c.py', prompts=('a', 'b'), thresholds=Thresholds(0.5, 0.2), calibration=Calibration(1.0, 2, 0.2, 0, 0, (0.5,))
    ).save(path.parent)


def _camera_events(path):
    for clip in ('clips/a.mp4', None):
        append_event(path.parent, CameraEvent('door', 1.0, 3.0, 2.0, 0.9, 'Abuse', 'rises', 'gate', clip))


def _shards(path):
    path.write_text(json.dumps({'weight_map': {'a': 'one.safetensors', 'b': 'two.safetensors'}}))
    for name, file in (('a', 'one'), ('b', 'two')):
        save_file({name: torch.ones(2)}, path.with_name(f'{file}.safetensors'))


def _report_entry(path):
    folder = path.parent.parent if path.parent.name == 'entries' else path.parent
    for part in folder.iterdir():  # the folder of the file is already there
        part.rmdir()
    with VideoReport(folder, RunInfo('c.py')) as report:
        report.add(VideoResult.failed('a', 'a.mp4', 'damaged'))


def _calibration(path):
    CalibrationFile(path, Thresholds(0.5, 0.2), Calibration(1.0, 2, 0.2, 0, 0, (0.5,)), 'abc', 'all', ('a',)).save()


def _scalars(*records):
    return _lines({'iter': 1, 'time': 0.5, 'loss': 1.0}, {'frame/auc': 0.5, 'step': 1}, {'iter': 2, 'time': 0.5})


def _split_files(folder):
    records = read_metadata(folder / 'all.csv')
    return write_split_files(records, folder / 'splits', folder / 'all.csv')


def _split_example(path):
    path.write_text('clip_id,video,split,species\nfox,fox.mp4,train,fox\n')
    path.parent.with_name('all.csv').write_text('clip_id,video,split,species\nfox,fox.mp4,train,fox\n')


def _cache(path):
    cached_check(str(path.with_name('video.mp4')), 'r', str(path.parent), lambda: {'frames': 3})


def _video(path):
    write_clip(path, 12, tone(1.2))


def _read_video(path):
    index = index_video(str(path), remember=False)
    return read_frames(index, np.array([0, index.total_frames - 1]))


def _wav(path):
    write_wav(path, np.arange(1600))


def _mammalps(path):
    for split in ('train', 'val', 'test'):
        path.with_name(f'{split}.csv').write_text(
            'video_path,start_s,end_s,activity,actions,species\na/a_c0.mp4,0.0,4.5,foraging,grazing;none,red_deer\n'
        )


def _list_of_arrays(path):
    arrays = np.empty(3, object)
    arrays[:] = [np.ones((2, 4)), np.zeros((0, 4)), np.ones((1, 4), np.float32)]
    np.save(path, arrays, allow_pickle=True)


def _all(functions):
    return {name: read() for name, read in functions.items()}


READERS = [
    Reader('json file', 'vadlab/utils/json_file.py', 'a.json', 'json', _json(RECORD), lambda d: read_json(d / 'a.json')),
    Reader('json lines', 'vadlab/utils/json_file.py', 'a.jsonl', 'jsonl', _lines(RECORD, 1, [2]), lambda d: read_json_lines(d / 'a.jsonl')),
    Reader('npy file', 'vadlab/utils/npy_file.py', 'a.npy', 'npy', _array(np.ones((3, 4))), lambda d: read_npy(d / 'a.npy')),
    Reader('npy map', 'vadlab/utils/npy_file.py', 'a.npy', 'npy', _array(np.ones((3, 4))), lambda d: map_npy(d / 'a.npy').tobytes()),
    Reader('npy list', 'vadlab/utils/npy_list.py', 'a.npy', 'npy', _list_of_arrays, lambda d: read_npy_list(d / 'a.npy')),
    Reader('npz file', 'vadlab/utils/npy_file.py', 'a.npz', 'npz', _save_npz, lambda d: _all(open_npz(d / 'a.npz'))),
    Reader('frame counts', 'vadlab/datasets/formats/frame_counts.py', 'frames.json', 'json', _json({'Abuse001_x264': 64, 'Normal_Videos_003_x264': 64}), _counted_truth),
    Reader('label studio', 'vadlab/datasets/formats/label_studio.py', 'export.json', 'json', _json([TASK]), lambda d: convert_label_studio(d / 'export.json', 'x')),
    Reader('label studio, rescaled', 'vadlab/datasets/formats/label_studio.py', 'export.json', 'json', _json([TASK]), lambda d: convert_label_studio(d / 'export.json', 'x', lambda name: 90)),
    Reader('marks', 'vadlab/datasets/formats/marks.py', 'marks.json', 'json', _json(MARKS), lambda d: convert_marks([d / 'marks.json'], 'x')),
    Reader('cvat', 'vadlab/datasets/formats/cvat.py', 'annotations.xml', 'text', _text(CVAT), lambda d: convert_cvat([d / 'annotations.xml'], 'x')),
    Reader('regions, list', 'vadlab/datasets/formats/region_annotations.py', 'a.json', 'json', _json([{'f_path': 'a/Abuse001.mp4', **RECORD}]), lambda d: _regions(d / 'a.json')),
    Reader('regions, dict', 'vadlab/datasets/formats/region_annotations.py', 'a.json', 'json', _json({'Abuse001.mp4': RECORD}), lambda d: _regions(d / 'a.json')),
    Reader('captions, coco', 'vadlab/datasets/formats/caption_files.py', 'captions.json', 'json', _json(COCO), _caption_files),
    Reader('captions, karpathy', 'vadlab/datasets/formats/caption_files.py', 'captions.json', 'json', _json(KARPATHY), lambda d: _caption_files(d, splits=['test'])),
    Reader('caption ids', 'vadlab/datasets/formats/caption_files.py', 'ids.npy', 'npy', _make_ids, lambda d: _caption_files(d, id_paths=[str(d / 'ids.npy')])),
    Reader('references', 'tools/eval_captions.py', 'a.json', 'json', _json({'1': ['a dog', 'dogs'], '2': ['a cat']}), lambda d: read_captions(str(d / 'a.json'))),
    Reader('references, coco', 'tools/eval_captions.py', 'a.json', 'json', _json(COCO), lambda d: read_captions(str(d / 'a.json'))),
    Reader('references, karpathy', 'tools/eval_captions.py', 'a.json', 'json', _json(KARPATHY), lambda d: read_captions(str(d / 'a.json'))),
    Reader('candidates', 'tools/eval_captions.py', 'a.json', 'json', _json([{'image_id': 1, 'caption': 'a dog'}]), lambda d: read_candidates(str(d / 'a.json'))),
    Reader('feature list, csv', 'vadlab/datasets/formats/feature_lists.py', 'a.csv', 'text', _text('path,label\n/a/Abuse001__0.npy,Abuse\n/a/N_1__0.npy,Normal\n'), lambda d: read_feature_list(d / 'a.csv')),
    Reader('feature list, text', 'vadlab/datasets/formats/feature_lists.py', 'a.txt', 'text', _text('# list\nAbuse/Abuse001.mp4 Abuse\nG:\\N\\N_1__0.npy\tNormal\nN_2,0\n'), lambda d: read_feature_list(d / 'a.txt')),
    Reader('list of videos', 'vadlab/apis/features/video_list.py', 'a.txt', 'text', lambda p: (p.with_name('a.mp4').touch(), p.write_text('a.mp4\n# more\na.mp4, Normal\n')), lambda d: find_videos([d / 'a.txt'])),
    Reader('metadata', 'vadlab/datasets/formats/av_clip_metadata.py', 'all.csv', 'text', _text(METADATA), lambda d: read_metadata(d / 'all.csv', ['species'])),
    Reader('temporal annotation, ucf', 'vadlab/datasets/formats/temporal_annotations.py', 'ann.txt', 'text', _text(ANNOTATION), lambda d: read_temporal_annotations(d / 'ann.txt')),
    Reader('temporal annotation, xd', 'vadlab/datasets/formats/temporal_annotations.py', 'ann.txt', 'text', _text(XD), lambda d: read_temporal_annotations(d / 'ann.txt')),
    Reader('ground truth, ucf', 'vadlab/datasets/formats/temporal_annotations.py', 'ann.txt', 'text', _text(ANNOTATION), lambda d: _truth(d, 'ucf-crime', 'ann.txt')),
    Reader('ground truth, xd', 'vadlab/datasets/formats/temporal_annotations.py', 'ann.txt', 'text', _text(XD), lambda d: _truth(d, 'xd-violence', 'ann.txt')),
    Reader('detections', 'vadlab/evaluation/region_files.py', 'a.txt', 'text', _text('0,1,2,3,4,0.5\n1,1,2,30,40,0.9\n'), lambda d: read_region_files(d, DETECTION_COLUMNS)),
    Reader('tracks', 'vadlab/evaluation/region_files.py', 'a.txt', 'text', _text('0 1 2 3 4 5\n0,1,2,3,4,5\n'), lambda d: read_region_files(d, TRACK_COLUMNS)),
    Reader('shapes of features', 'vadlab/datasets/formats/shape_index.py', '.feature_shapes.npz', 'npz', _shape_index, _read_shape_index, is_forgiving=True),
    Reader('scores, npy', 'vadlab/evaluation/score_files.py', 'a.npy', 'npy', _array(np.linspace(0, 1, 8)), lambda d: read_scores(d)),
    Reader('scores, csv', 'vadlab/evaluation/score_files.py', 'a.csv', 'text', _text('Normal,Abuse\n0.5,0.5\n0.25,0.75\n'), lambda d: read_scores(d, classes=SHOWN)),
    Reader('scores, npz', 'vadlab/evaluation/score_files.py', 'a.npz', 'npz', _save_npz, lambda d: read_scores(d / 'a.npz')),
    Reader('frame masks', 'vadlab/datasets/formats/frame_masks.py', '01_0014.npy', 'npy', _array(np.array([0, 1, 1])), lambda d: read_frame_masks(d)),
    Reader('ped2 masks', 'vadlab/datasets/formats/pixel_masks.py', 'Test001_gt/1.bmp', 'bytes', _picture, lambda d: read_ped2_masks(d)),
    Reader('avenue masks', 'vadlab/datasets/formats/pixel_masks.py', '1_label.mat', 'bytes', _make_mat, lambda d: read_avenue_masks(d)),
    Reader('ucsd intervals', 'vadlab/datasets/formats/one_class_truth.py', 'UCSDped2.m', 'text', _text('TestVideoFile = {};\nTestVideoFile{end+1}.gt_frame = [61:180];\n'), lambda d: read_ucsd_intervals(d / 'UCSDped2.m')),
    Reader('mat intervals', 'vadlab/datasets/formats/one_class_truth.py', 'ped2.mat', 'bytes', _mat_intervals, lambda d: read_mat_intervals(d / 'ped2.mat')),
    Reader('joined labels', 'vadlab/datasets/formats/one_class_truth.py', 'frame_labels_ped2.npy', 'npy', _array(np.array([[0, 1, 0, 0]])), lambda d: read_joined_labels(d / 'frame_labels_ped2.npy', {'01': 1, '02': 3})),
    Reader('ubnormal tracks', 'vadlab/datasets/formats/one_class_truth.py', 'a_tracks.txt', 'text', _text('1,4,9\n2,0,3\n'), lambda d: read_ubnormal_tracks(d / 'a_tracks.txt')),
    Reader('pixel truth, pictures', 'vadlab/datasets/formats/pixel_truth.py', '1.bmp', 'bytes', _picture, lambda d: PixelTruth('pictures', str(d)).read(1, (8, 8))),
    Reader('pixel truth, mat', 'vadlab/datasets/formats/pixel_truth.py', '1_label.mat', 'bytes', _make_mat, lambda d: PixelTruth('mat', str(d / '1_label.mat')).read(3, (4, 5))),
    Reader('pixel truth, npy', 'vadlab/datasets/formats/pixel_truth.py', '01_0014.npy', 'npy', _array(np.ones((2, 3, 4), np.uint8)), lambda d: PixelTruth('npy', str(d / '01_0014.npy')).read(2, (3, 4))),
    Reader('ubnormal lists', 'vadlab/datasets/formats/one_class_layouts.py', 'normal_training_video_names.txt', 'text', _ubnormal_list, lambda d: find_clips(d, 'train')),
    Reader('mat file', 'vadlab/utils/mat_file.py', 'a.mat', 'bytes', lambda p: savemat(p, {'x': np.ones(3), 'volLabel': np.eye(2)}, do_compression=True), lambda d: read_mat(d / 'a.mat', 'volLabel')),
    Reader('feature file', 'vadlab/datasets/formats/feature_files.py', 'a.npy', 'npy', _features, lambda d: (read_feature_shape(str(d / 'a.npy')), open_features(str(d / 'a.npy')).tobytes()), names_file=False),
    Reader('feature folder', 'vadlab/apis/features/feature_writer.py', 'a__0.npy', 'npy', _features, lambda d: is_whole(d / 'a__0.npy', 8, 'float32', 4), is_forgiving=True),
    Reader('feature comparison', 'vadlab/apis/features/comparison.py', 'a__0.npy', 'npy', _features, lambda d: FeatureSet.scan(d).read('a')),
    Reader('feature marker', 'vadlab/apis/features/feature_writer.py', '.videos/a.json', 'json', _marker, lambda d: (all_markers(d), is_done(d, 'a', 5, 1, 8, 'float32')), is_forgiving=True),
    Reader('feature recipe', 'vadlab/datasets/formats/feature_recipe.py', 'recipe.json', 'json', _json({'recipe': {'a': 1}, 'facts': {'b': 2}}), lambda d: read_recipe(d)),
    Reader('trial of a sweep', 'vadlab/apis/sweeps/sweep.py', 'trial.json', 'json', _json({'state': 'done', 'settings': {'lr': '0.1'}, 'scores': {'0': 0.5}, 'reason': '', 'seconds': 1.5, 'same_as': None}), lambda d: read_trial(d / 'trial.json')),
    Reader('checked file', 'vadlab/apis/checked_files.py', 'cached.json', 'json', _json({'frames': 3}), lambda d: _remembered(d), is_forgiving=True),
    Reader('subset', 'vadlab/apis/modality_ablation.py', 'quiet.json', 'json', _json({'species': ['fox', 'owl']}), lambda d: read_subsets([d / 'quiet.json'])),
    Reader('split file', 'vadlab/apis/preparation/split_files.py', 'splits/train.csv', 'text', _split_example, _split_files),
    Reader('mammalps', 'vadlab/datasets/formats/wildlife_layouts/mammalps.py', 'metadata/train.csv', 'text', _mammalps, lambda d: LAYOUTS['mammalps'](d)),
    Reader('panaf500', 'vadlab/datasets/formats/wildlife_layouts/panaf20k.py', 'annotations/train/a.json', 'json', _json({'annotations': [{'frame_id': 1, 'detections': [{'ape_id': 0, 'species': 'gorilla', 'behaviour': 'sitting'}]}]}), lambda d: LAYOUTS['panaf20k'](d)),
    Reader('panaf20k', 'vadlab/datasets/formats/wildlife_layouts/layout_files.py', 'train.csv', 'text', _text('video,behaviours,species\na.mp4,"eating;sitting",gorilla\nb,,\n'), lambda d: LAYOUTS['panaf20k'](d)),
    Reader('animal kingdom, csv', 'vadlab/datasets/formats/wildlife_layouts/animal_kingdom.py', 'AR_metadata.csv', 'text', _text("video_id,type,list_animal,list_animal_action\nA,train,['Wolf'],\"[('Wolf', 'Chasing')]\"\n"), lambda d: LAYOUTS['animal_kingdom'](d)),
    Reader('animal kingdom, xlsx', 'vadlab/datasets/formats/wildlife_layouts/workbook.py', 'AR_metadata.xlsx', 'zip', _xlsx_content, lambda d: LAYOUTS['animal_kingdom'](d), 0.4),
    Reader('document frequencies', 'vadlab/text/document_frequencies.py', 'df.npz', 'npz', _frequencies, lambda d: DocumentFrequencies.load(d / 'df.npz')),
    Reader('wordnet', 'vadlab/evaluation/functional/captions/wordnet.py', 'index.noun', 'text', _wordnet, lambda d: WordNet(d).synsets('cars')),
    Reader('word vocabulary', 'vadlab/models/tokenizers/word_vocabulary.py', 'v.json', 'json', _json({'words': ['<pad>', '<unk>', '<bos>', '<eos>', 'a']}), lambda d: WordVocabulary(d / 'v.json').encode('a')),
    Reader('tokenizer', 'vadlab/models/tokenizers/hugging_face_tokenizer.py', 'tokenizer.json', 'json', lambda p: write_tokenizer(p.parent), lambda d: HuggingFaceTokenizer(d).encode('a man'), 0.4),
    Reader('config of a tokenizer', 'vadlab/models/tokenizers/hugging_face_tokenizer.py', 'tokenizer_config.json', 'json', lambda p: write_tokenizer(p.parent), lambda d: HuggingFaceTokenizer(d).pad_id),
    Reader('FG-CLIP 2 folder', 'vadlab/models/checkpoints/hugging_face_folder.py', 'config.json', 'json', lambda p: write_released(p.parent), lambda d: read_fgclip2(d)[1]),
    Reader('clip vocabulary', 'vadlab/models/tokenizers/clip_tokenizer.py', 'v.txt', 'text', _text('#version\na b\nc d\n'), lambda d: CLIPTokenizer(str(d / 'v.txt'))),
    Reader('concepts', 'vadlab/models/checkpoints/concept_prompts.py', 'c.json', 'json', _json({'Normal': ['calm', 'street'], 'Abuse': {'abuse': 1.0, 'hit': 0.4}}), lambda d: read_concepts(d / 'c.json', SHOWN)),
    Reader('concept features', 'vadlab/models/checkpoints/concept_prompts.py', 'c.npy', 'npy', _array(np.ones((2, 3), np.float32)), lambda d: read_concept_features(d / 'c.npy', SHOWN)),
    Reader('codebook', 'vadlab/models/heads/codebook.py', 'c.safetensors', 'bytes', _codebook, lambda d: load_codebook(d / 'c.safetensors', 4)),
    Reader('concept names, text', 'vadlab/models/heads/codebook.py', 'n.txt', 'text', _text('dog\ncat # a comment\n'), lambda d: read_names(d / 'n.txt')),
    Reader('concept names, json', 'vadlab/models/heads/codebook.py', 'n.json', 'json', _json(['dog', 'cat']), lambda d: read_names(d / 'n.json')),
    Reader('learning curve', 'vadlab/visualization/figures/learning_curves.py', 'scalars.json', 'jsonl', _scalars(), lambda d: read_learning_curve(d / 'scalars.json')),
    Reader('patch recipe', 'vadlab/datasets/formats/patch_store.py', 'recipe.json', 'json', _store, _read_store),
    Reader('patch index', 'vadlab/datasets/formats/patch_store.py', 'images.jsonl', 'jsonl', _store, _read_store),
    Reader('manifest', 'vadlab/datasets/formats/prepared_av_clips.py', 'manifest.jsonl', 'jsonl', lambda p: p.write_text(CLIP.as_line() * 2), lambda d: read_manifest(d)),
    Reader('clip recipe', 'vadlab/datasets/formats/prepared_av_clips.py', 'recipe.json', 'json', _json({'recipe': {'frames': {'num_frames': 8, 'fps': None, 'height': 4, 'width': 4}, 'sound': {'bands': 64, 'high_hz': None}}}), lambda d: read_prepared_recipe(d)),
    Reader('prepared frames', 'vadlab/datasets/formats/prepared_av_clips.py', 'a.pt', 'bytes', lambda p: torch.save(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), p), lambda d: load_frames(d / 'a.pt', [2, 3, 4, 4]).sum()),
    Reader('prepared sound', 'vadlab/datasets/formats/prepared_av_clips.py', 'a.npy', 'npy', _array(np.ones((4, 6), np.float32)), lambda d: load_mel(d / 'a.npy', [4, 6]).tobytes()),
    Reader('sound statistics', 'vadlab/models/data_preprocessors/audio_visual_data_preprocessor.py', 's.json', 'json', _json({'sound': {'mean': -20.5, 'std': 4.0}}), lambda d: read_statistics(str(d / 's.json'))),
    Reader('clip folder', 'vadlab/models/checkpoints/clip_loading.py', 'config.json', 'json', _hugging_face, lambda d: load_clip_checkpoint(d)),
    Reader('video result', 'vadlab/structures/video_result.py', 'a.json', 'json', _result, lambda d: VideoResult.load(d / 'a.json')),
    Reader('arrays of a video result', 'vadlab/structures/video_result.py', 'a.npz', 'npz', _result, lambda d: VideoResult.load(d / 'a.json')),
    Reader('prompts', 'vadlab/apis/inferencers/video_inputs.py', 'p.txt', 'text', _text('a fire\n# a comment\nsmoke\n'), lambda d: read_prompts(d / 'p.txt')),
    Reader('question', 'vadlab/models/vlm/question_file.py', 'q.txt', 'text', _text('# a comment\nIs {definition} here?\n'), lambda d: QuestionFile(str(d / 'q.txt'), ['definition'])),
    Reader('answers', 'vadlab/models/vlm/answer_cache.py', 'a.sqlite', 'bytes', _answers, lambda d: _read_answers(d / 'a.sqlite'), 0.4),
    Reader('calibration', 'vadlab/evaluation/calibration.py', 'a.json', 'json', _calibration, lambda d: CalibrationFile.load(d / 'a.json')),
    Reader('record of a run', 'vadlab/structures/video_result.py', 'run.json', 'json', _run, lambda d: RunInfo.load(d)),
    Reader('state of a camera', 'vadlab/structures/camera_state.py', 'status.json', 'json', lambda p: CameraState('a', 'live', size=(8, 8), open_event=OpenEvent(1.0, 2.0, 0.5)).save(p.parent), lambda d: CameraState.load(d)),
    Reader('curve of a camera', 'vadlab/structures/camera_state.py', 'curve.json', 'json', lambda p: save_curve(p.parent, [(5.0, 0.5), (10.0, 0.25)]), lambda d: load_curve(d)),
    Reader('events of a camera', 'vadlab/structures/camera_state.py', 'events.jsonl', 'jsonl', _camera_events, lambda d: load_events(d), is_forgiving=True),
    Reader('cameras', 'vadlab/apis/live/camera_specs.py', 'cameras.json', 'json', _json(CAMERAS), lambda d: read_specs([], d / 'cameras.json')),
    Reader('shards', 'vadlab/models/checkpoints/hugging_face_folder.py', 'model.safetensors.index.json', 'json', _shards, lambda d: sorted(read_folder_weights(d)[0])),
    Reader('entry of a report', 'vadlab/visualization/report/video_report.py', 'entries/a.json', 'json', _report_entry, lambda d: read_entries(d)),
    Reader('record of a report', 'vadlab/visualization/report/video_report.py', 'report.json', 'json', _report_entry, lambda d: check_report_folder(d)),
    Reader('tensors', 'vadlab/checkpoints/tensor_files.py', 'a.pth', 'bytes', lambda p: torch.save({'state_dict': {'w': torch.ones(3)}}, p), lambda d: read_tensor_file(d / 'a.pth'), 0.4),
    Reader('published weights', 'vadlab/checkpoints/tensor_files.py', 'b.safetensors', 'bytes', lambda p: write_published({'meta': {'seed': 1}, 'state_dict': {'w': torch.ones(3), 'h._extra_state': {'a': (1,)}}}, p), lambda d: read_checkpoint(d / 'b.safetensors'), 0.4),
    Reader('published config', 'vadlab/utils/plain_config.py', 'config.json', 'json', _json(PUBLISHED), lambda d: read_plain_config(d / 'config.json')),
    Reader('manifest of a repository', 'vadlab/utils/hub_files.py', 'vadlab.json', 'json', _json({'format': 1, 'files': {'a': {'sha256': 'a' * 64, 'bytes': 3}}}), lambda d: read_hub_manifest(d / 'vadlab.json', str(d / 'vadlab.json'))),
    Reader('metrics', 'vadlab/apis/publishing/published_metrics.py', 'm.json', 'json', _json({'metrics': {'frame/auc': 0.5}, 'protocol': {'frame/auc': 'x'}, 'versions': {'torch': '2'}, 'weights': 'a'}), lambda d: read_report(d / 'm.json')),
    Reader('safetensors', 'vadlab/checkpoints/tensor_files.py', 'a.safetensors', 'bytes', lambda p: save_file({'w': torch.ones(3)}, p), lambda d: read_tensor_file(d / 'a.safetensors'), 0.4),
    Reader('image', 'vadlab/datasets/video/image_reader.py', 'a.png', 'bytes', _picture, lambda d: read_image(str(d / 'a.png')), 0.4),
    Reader('jpeg', 'vadlab/datasets/video/image_reader.py', 'a.jpg', 'bytes', _picture, lambda d: read_image(str(d / 'a.jpg')), 0.4),
    Reader('video, mp4', 'vadlab/datasets/video/video_index.py', 'a.mp4', 'bytes', _video, lambda d: _read_video(d / 'a.mp4'), 0.1),
    Reader('video, mkv', 'vadlab/datasets/video/video_index.py', 'a.mkv', 'bytes', _video, lambda d: _read_video(d / 'a.mkv'), 0.1),
    Reader('video, ts', 'vadlab/datasets/video/damage.py', 'a.ts', 'bytes', lambda p: write_clip(p, 12), lambda d: _read_video(d / 'a.ts'), 0.1),
    Reader('video, avi', 'vadlab/datasets/video/video_index.py', 'a.avi', 'bytes', lambda p: write_clip(p, 12), lambda d: _read_video(d / 'a.avi'), 0.1),
    Reader('token', 'vadlab/apis/service/access.py', 'token', 'text', _text('0123456789abcdef\n'), lambda d: read_token('::', d / 'token')),
    Reader('outcome of a job', 'vadlab/apis/service/job_store.py', 'outcome.json', 'json', _json({'summary': {'events': 1}, 'page': 'pages/a.html'}), read_outcome, is_forgiving=True),
    Reader('list of jobs', 'vadlab/apis/service/job_store.py', 'jobs.sqlite', 'bytes', _jobs, lambda d: _read_jobs(d / 'jobs.sqlite'), 0.1),
    Reader('upload', 'vadlab/apis/service/content_check.py', 'upload', 'bytes', lambda p: write_clip(p.with_suffix('.mp4'), 12).rename(p), lambda d: check_content(str(d / 'upload'), 3600.0), 0.1, names_file=False),
    Reader('sound', 'vadlab/datasets/audio/audio_reader.py', 'a.wav', 'bytes', _wav, lambda d: read_audio(str(d / 'a.wav'), 16000), 0.5),
]  # fmt: skip

#: Modules that open files, but none from outside, or leave the reading to others; and why.
OTHERS = {
    'vadlab/utils/cli.py': 'opens the null device only',
    'vadlab/utils/folder_lock.py': 'opens folders to lock them, and reads nothing',
    'tools/sweep.py': "compares its settings with utils' reader",
    'vadlab/apis/method_runs.py': 'reads what its own processes printed',
    'vadlab/apis/sweeps/trial_run.py': "reads what its own processes printed, and logs with utils' reader",
    'vadlab/__main__.py': 'reads files of VADLab only',
    'vadlab/utils/av_input.py': 'opens media for the readers of videos and of sound, which are here',
    'vadlab/apis/features/extraction.py': 'hashes weights',
    'vadlab/apis/inferencers/vad_inferencer.py': "reads results with video_result's reader",
    'vadlab/apis/deployment/export_model.py': 'copies its own modules',
    'vadlab/apis/deployment/exported_detector.py': "reads calibrations with evaluation's reader",
    'vadlab/apis/inferencers/result_folder.py': "reads results with video_result's reader",
    'vadlab/apis/deployment/exported_folder.py': 'hashes files; reads with the readers of utils; '
    'tests/apis/deployment/test_exported_folder.py',
    'vadlab/apis/publishing/model_card.py': "reads the project's own index",
    'vadlab/apis/publishing/feature_folder.py': 'looks for a path in lists; reads with the readers of formats',
    'vadlab/apis/publishing/model_folder.py': 'reads with the readers of utils; tests/tools/test_push.py',
    'vadlab/apis/live/camera_reader.py': 'opens streams, which tests/apis/live/test_camera_reader.py damages',
    'vadlab/apis/live/clips.py': 'writes clips',
    'vadlab/apis/live/state_files.py': 'writes its log and its lock',
    'vadlab/apis/preparation/av_clip_preparation.py': 'locks, and appends to its own manifest',
    'vadlab/apis/preparation/prepare_av_clip.py': 'writes',
    'vadlab/datasets/damaged_video_counter.py': "reads this process's own temporary file",
    'vadlab/apis/service/app.py': 'serves its own pages; reads forms, tests/apis/service/test_access.py',
    'vadlab/apis/service/camera_wall.py': "reads with camera_state's reader",
    'vadlab/apis/service/child_process.py': "reads the system's count of memory",
    'vadlab/apis/service/client.py': 'sends files as they are',
    'vadlab/apis/service/uploads.py': 'writes',
    'vadlab/datasets/coco_captions.py': 'tries whether an image can be opened',
    'vadlab/simulators/common/made_folder.py': 'writes',
    'vadlab/simulators/common/video_writer.py': 'writes',
    'vadlab/datasets/video/decord_reader.py': "indexes with video_index's reader first",
    'vadlab/datasets/video/frame_cache.py': 'reads what it wrote, and decodes again what does not fit',
    'vadlab/checkpoints/checkpoint_io.py': "reads with tensor_files' reader; tests/engine/test_checkpoint_io.py",
    'vadlab/checkpoints/hub.py': 'loads from a server',
    'vadlab/utils/lazy_package.py': 'loads modules',
    'vadlab/engine/hooks/question_versions_hook.py': 'reads what it wrote',
    'vadlab/engine/hooks/run_state_hook.py': 'reads what it wrote',
    'vadlab/models/detectors/vera.py': "reads lines with text_file's reader",
    'vadlab/engine/hooks/score_file_hook.py': 'writes',
    'vadlab/engine/work_dir_lock.py': 'reads what it wrote; anything else is another process',
    'vadlab/models/captioners/self_critical.py': 'loads by document_frequencies',
    'vadlab/models/detectors/clip_objects.py': 'reads what it wrote, and measures again what does not fit',
    'vadlab/models/attributes/pose.py': "with onnx_file's reader",
    'vadlab/models/vlm/clients/transformers_vlm.py': 'loads by transformers; tests/models/vlm/test_transformers_vlm.py',
    'vadlab/models/objects/onnx_detector.py': 'loads by onnxruntime; tests/models/objects/test_objects.py',
    'vadlab/models/objects/onnx_file.py': 'gives the file to onnxruntime; tests/models/objects/test_objects.py',
    'vadlab/utils/config.py': 'configs are Python, which is executed; tests/utils/test_config.py',
    'vadlab/utils/runtime.py': "reads torch's own version file",
    'vadlab/utils/text_file.py': 'all readers of text go through it',
    'vadlab/visualization/report/templates.py': "reads the project's own templates",
    'vadlab/visualization/report/web_video.py': "writes; reads with video_index's reader",
    'tools/compare_methods.py': 'reads what its own runs wrote',
    'tools/export_results.py': "reads with video_result's reader",
    'tools/install.py': 'reads what it wrote',
    'tools/make_demo_features.py': 'reads what it wrote',
    'tools/push.py': 'reads what it wrote',
    'tools/zoo.py': "reads the project's own pages",
}


def _remembered(folder):
    """A cached result, under the name that ``cached_check`` looks for."""
    video = folder / 'video.mp4'
    video.write_bytes(b'')
    cache = folder / 'cache'
    for name in cache.iterdir() if cache.exists() else ():
        name.unlink()
    cached_check(str(video), 'r', str(cache), lambda: {'frames': 3})
    (name,) = cache.iterdir()
    name.write_bytes((folder / 'cached.json').read_bytes())
    return cached_check(str(video), 'r', str(cache), lambda: {'frames': 4})
