import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / 'tools'))
from benchmarks import patches


@pytest.mark.parametrize('case', patches.CASES)
def test_a_store_gives_the_features_of_the_images(case, tmp_path):
    jobs = (patches.PatchJob(kind, case, 'tiny', 2, str(tmp_path)) for kind in patches.KINDS.values())
    images, store = jobs
    assert len(store.steps) < len(images.steps)
    assert store.run() == pytest.approx(images.run(), rel=1e-3)
    learns = [p.grad for p in store.vision.parameters() if p.requires_grad]
    assert bool(learns) == (case != 'all frozen')
    assert all(grad is not None for grad in learns)
