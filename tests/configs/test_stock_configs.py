"""Configs of other projects on MMEngine are read as MMEngine reads them."""

import warnings
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.utils import get_installed_path

from vadlab.utils import register_all_modules
from vadlab.utils.config import ConfigWarning, config_differences, load_config, read_config
from vadlab.utils.errors import ConfigError, MissingFileError

MMDET = Path(get_installed_path('mmdet')) / '.mim' / 'configs'
STOCK = [
    'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'faster_rcnn/faster-rcnn_r50-caffe-dc5_ms-1x_coco.py',  # assigns to _base_.train_dataloader
    'mask2former/mask2former_r101_8xb2-lsj-50e_coco.py',  # test_evaluator = val_evaluator, with _delete_
    'qdtrack/qdtrack_faster-rcnn_r50_fpn_8xb2-4e_mot17halftrain_test-mot17halfval.py',  # removes _base_.model
    'rtmdet/rtmdet_s_8xb32-300e_coco.py',  # an EMA hook with options of its model
    'yolox/yolox_tiny_8xb8-300e_coco.py',
    'detr/detr_r50_8xb2-150e_coco.py',  # custom_keys
    'dino/dino-4scale_r50_8xb2-24e_coco.py',
    'instaboost/mask-rcnn_r50_fpn_instaboost-4x_coco.py',  # {{_base_.backend_args}}
    'soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py',  # {{_base_.model}}
]


@pytest.fixture(autouse=True, scope='module')
def _modules():
    register_all_modules()


@pytest.mark.parametrize('name', STOCK)
def test_stock_config_is_read_and_accepted(name):
    theirs = Config.fromfile(MMDET / name)._cfg_dict.to_dict()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ConfigWarning)  # some hold names that nothing reads
        ours = load_config(MMDET / name)._cfg_dict.to_dict()
    assert config_differences(theirs, ours) == []


def test_only_a_late_bound_variable_tells_the_readers_apart():
    name = 'grounding_dino/lvis/grounding_dino_swin-b_pretrain_zeroshot_mini-lvis.py'
    theirs = Config.fromfile(MMDET / name)._cfg_dict.to_dict()
    ours = read_config(MMDET / name)._cfg_dict.to_dict()
    assert config_differences(theirs, ours) == ["train_dataloader.dataset.type: 'CocoDataset' -> 'LVISV1Dataset'"]


def test_names_that_nothing_reads_are_a_warning(tmp_path):
    (tmp_path / 'config.py').write_text(
        'max_epochs = 3\nlr_confg = 1\ntrain_cfg = dict(by_epoch=True, max_epochs=max_epochs)'
    )
    with pytest.warns(ConfigWarning, match=r"config\.py: nothing reads 'lr_confg'"):
        assert load_config(tmp_path / 'config.py').train_cfg.max_epochs == 3


BASE = """
size = 4
names = ['a', 'b']
model = dict(type='Detector', inner=dict(size=size), head=dict(names=names))
default_scope = 'elsewhere'
"""


@pytest.fixture
def write(tmp_path):
    (tmp_path / 'base.py').write_text(BASE)

    def write(text, name='child.py'):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_bases_may_be_imported(write):
    path = write(
        'from mmengine.config import read_base\n'
        'from mmengine.hooks import CheckpointHook\n'
        'with read_base():\n'
        '    from .base import *\n'
        'model.update(inner=dict(size=8))\n'
        'model.head.names = names[:1]\n'
        'default_hooks = dict(checkpoint=dict(type=CheckpointHook, interval=2))\n'
    )
    theirs = Config.fromfile(path)._cfg_dict.to_dict()
    config = load_config(path, {'model.inner.size': 9, 'default_hooks.checkpoint.interval': 5})
    assert config.model == dict(type='Detector', inner=dict(size=9), head=dict(names=['a']))
    assert config.default_hooks.checkpoint.type == theirs['default_hooks']['checkpoint']['type']
    assert config.default_hooks.checkpoint.interval == 5
    with pytest.raises(ConfigError, match='size: a config that imports its bases .* Set the dotted key'):
        load_config(path, {'size': 9})
    with pytest.raises(ConfigError, match=r"checkpoint\.intervall: CheckpointHook takes no option 'intervall'"):
        load_config(path, {'default_hooks.checkpoint.intervall': 2})


def test_an_error_of_an_imported_base_names_the_file(write):
    path = write('from mmengine.config import read_base\nwith read_base():\n    from .bas import *\n')
    with pytest.raises(ConfigError, match=r'child\.py: .*bas\.py'):
        load_config(path)


def test_values_of_a_base_in_braces(write, monkeypatch):
    monkeypatch.setenv('ROOT_OF_DATA', '/mnt/a b')
    path = write(
        "_base_ = ['base.py']\n"
        'model = dict(head=dict(bare={{ _base_.names }}, folder="{{fileBasenameNoExtension}}"))\n'
        "work_dir = '{{$ROOT_OF_DATA:runs}}/{{$NOT_SET_ANYWHERE:runs}}'\n"
    )
    theirs = Config.fromfile(path)._cfg_dict.to_dict()
    ours = load_config(path)._cfg_dict.to_dict()
    assert ours == theirs
    assert ours['model']['head'] == dict(names=['a', 'b'], bare=['a', 'b'], folder='child')
    assert ours['work_dir'] == '/mnt/a b/runs'
    quoted = write("_base_ = ['base.py']\nmodel = dict(head='{{_base_.model.inner.size}}')\n")
    assert load_config(quoted).model.head == 4


@pytest.mark.parametrize(
    ('text', 'model'),
    [
        ('size, other = 8, 9\nmodel = dict(inner=dict(other=other))', dict(inner=dict(size=8, other=9))),
        ('size = other = 8\nmodel = dict(inner=dict(other=other))', dict(inner=dict(size=8, other=8))),
        ('size = 2 * 4', dict(inner=dict(size=8))),
        ('half = 4\nsize = half + half\nmodel = dict(inner=dict(half=half))', dict(inner=dict(size=8, half=4))),
        ("names = ('x',)", dict(head=dict(names=('x',)))),
        ('size: int = 8', dict(inner=dict(size=8))),
        ('model = dict(head=(1, 2))', dict(head=(1, 2))),
        ('del _base_.model.head\n', dict(inner=dict(size=4))),
        ('_base_.model.inner.size = 8\n', dict(inner=dict(size=8))),
    ],
)
def test_assignments_of_every_form_reach_the_base(write, text, model):
    found = read_config(write(f"_base_ = ['base.py']\n{text}\n")).model
    assert {key: found[key] for key in model} == model
    assert ('head' in found) == ('del _base_' not in text)


def test_an_error_in_a_base_says_what_was_set_from_outside(write):
    path = write("_base_ = ['base.py']\nsize = None\n")
    write('size = 4\nmodel = dict(half=size // 2)\n', 'base.py')
    with pytest.raises(ConfigError, match=r'base\.py, line 2: TypeError.*\(where size=None was set from outside\)'):
        read_config(path)


def test_a_base_that_imports_its_bases_is_named(write):
    write('from mmengine.config import read_base\nwith read_base():\n    from .base import *\n', 'other.py')
    with pytest.raises(
        ConfigError, match=r'other\.py imports its bases by read_base\(\), so .*child\.py cannot name it'
    ):
        read_config(write("_base_ = ['other.py']\n"))


def test_a_base_of_an_installed_package(write):
    path = write("_base_ = ['mmdet::_base_/default_runtime.py']\n")
    assert load_config(path).default_scope == 'mmdet'
    with pytest.raises(ConfigError, match=r"child\.py: _base_ 'mmdet::nothing\.py' cannot be found"):
        load_config(write("_base_ = ['mmdet::nothing.py']\n"))


def test_a_base_of_this_package_from_anywhere(write):
    path = write(
        "_base_ = ['vadlab::_base_/datasets/ucf_crime_features.py', 'vadlab::default_runtime.py']\ncrops = 3\n"
    )
    assert load_config(path).train_dataloader.dataset.crops == 3
    with pytest.raises(MissingFileError, match=r'configs/mil_dmo\.py not found \(named by .*mil_demo\.py'):
        load_config(write("_base_ = ['vadlab::mil_dmo.py']\n"))
