"""How long OpenMP's threads wait is set before torch loads, in every tool."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = sorted(p for p in (ROOT / 'tools').glob('*.py') if p.name not in ('__init__.py', 'install.py'))
# Says what is set when torch is looked for, and goes no further.
SPY = """
import os, runpy, sys
class Spy:
    def find_spec(self, name, path=None, target=None):
        if name == 'torch':
            print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))
            sys.stdout.flush()
            os._exit(0)
sys.meta_path.insert(0, Spy())
sys.argv = ARGUMENTS
sys.path.insert(0, os.path.dirname(TOOL))
runpy.run_path(TOOL, run_name='__main__')
"""


ARGUMENTS = {
    'train.py': ['configs/fgclip_ucf.py'],
    'extract_features.py': ['configs/features_clip_vit_b16.py', 'README.md', '--out', 'nowhere'],
    'benchmark.py': ['step', '--quick'],
}


def at_torch(tool, **env):
    clean = {k: v for k, v in os.environ.items() if k not in ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY')}
    script = SPY.replace('TOOL', repr(str(ROOT / 'tools' / tool))).replace('ARGUMENTS', repr([tool, *ARGUMENTS[tool]]))
    result = subprocess.run(
        [sys.executable, '-c', script], env={**clean, **env}, cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()[-2:]


@pytest.mark.parametrize('tool', ['train.py', 'extract_features.py', 'benchmark.py'])
def test_it_is_set_when_torch_loads(tool):
    assert at_torch(tool) == ['10000', 'None']


@pytest.mark.parametrize(
    ('env', 'expected'),
    [({'GOMP_SPINCOUNT': '7'}, ['7', 'None']), ({'OMP_WAIT_POLICY': 'ACTIVE'}, ['None', 'ACTIVE'])],
    ids=['GOMP_SPINCOUNT', 'OMP_WAIT_POLICY'],
)
def test_the_users_setting_wins(env, expected):
    assert at_torch('train.py', **env) == expected


@pytest.mark.parametrize('tool', TOOLS, ids=lambda path: path.name)
def test_every_tool_imports_vadlab_before_anything_that_loads_torch(tool):
    imports = [node for node in ast.parse(tool.read_text()).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = [node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports]
    load_torch = ('torch', 'mmengine', 'mmcv', 'mmdet', 'transformers', 'benchmarks', 'vadlab')
    tops = [name.split('.')[0] for name in names if name.startswith(load_torch)]
    assert not tops or tops[0] == 'vadlab'
