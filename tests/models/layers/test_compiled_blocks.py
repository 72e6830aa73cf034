"""Towers with compiled blocks. Oracle: the same towers without compilation."""

import pytest
import torch

from vadlab.models.backbones.clip_text_transformer import CLIPTextTransformer
from vadlab.models.backbones.clip_vision_transformer import CLIPVisionTransformer
from vadlab.models.backbones.siglip2_text_transformer import SigLIP2TextTransformer
from vadlab.models.backbones.siglip2_vision_transformer import SigLIP2VisionTransformer
from vadlab.utils.errors import ConfigError

AOT = 'aot_eager'  # autograd's part of torch.compile, without generating code, which takes minutes


@pytest.fixture(autouse=True)
def nothing_compiled_before():
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield
    torch._dynamo.reset()


def vision(compiled, **options):
    torch.manual_seed(0)
    sizes = dict(image_size=16, patch_size=8, width=16, layers=3, heads=2)
    return CLIPVisionTransformer(**sizes, compiled=compiled, **options)


def text(compiled, **options):
    torch.manual_seed(0)
    sizes = dict(vocab_size=30, context_length=12, long_context_length=None, width=16, layers=3, heads=2)
    return CLIPTextTransformer(**sizes, compiled=compiled, **options)


def frames(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, 16, 16, generator=generator), torch.arange(count) % 3 == 0


def texts(*lengths):
    return ([torch.arange(1, n + 1) for n in lengths],)


def siglip2_vision(compiled, **options):
    torch.manual_seed(0)
    sizes = dict(patch_size=8, num_patches=4, width=16, layers=3, heads=2)
    return SigLIP2VisionTransformer(**sizes, compiled=compiled, **options)


def siglip2_text(compiled, **options):
    torch.manual_seed(0)
    sizes = dict(vocab_size=30, context_length=12, long_context_length=None, width=16, layers=3, heads=2)
    return SigLIP2TextTransformer(**sizes, compiled=compiled, **options)


def wide_frames(count):
    pixels, mask = frames(count)
    return torch.cat([pixels, pixels], dim=3), mask


INPUTS = [(vision, [frames(5), frames(8), frames(2)]), (text, [texts(3, 5, 4), texts(9, 2), texts(7, 3, 5, 6, 4)])]


SIGLIP2 = [
    (siglip2_vision, [frames(5), wide_frames(8), frames(2)]),
    (siglip2_text, INPUTS[1][1]),
]


def gradients(tower, arguments):
    tower.zero_grad()
    out = tower(*arguments)
    parts = out if isinstance(out, tuple) else (out,)
    sum(part.square().sum() for part in parts).backward()
    return [part.detach() for part in parts], [p.grad for p in tower.parameters() if p.grad is not None]


def compare(build, inputs, backend=AOT, **options):
    plain, compiled = build(False, **options), build(backend, **options)
    assert plain.state_dict().keys() == compiled.state_dict().keys()
    for step, arguments in enumerate(inputs):
        wanted = gradients(plain, arguments)
        with torch._dynamo.config.patch(error_on_recompile=step > 0):  # other sizes, the same graph
            found = gradients(compiled, arguments)
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    assert torch._dynamo.utils.counters['stats']['unique_graphs'] > 0


@pytest.mark.parametrize('options', [{}, dict(with_cp=True), dict(hidden_act='gelu')])
@pytest.mark.parametrize(('build', 'inputs'), INPUTS)
def test_results_equal_eager_and_nothing_is_compiled_again(build, inputs, options):
    compare(build, inputs, **options)


@pytest.mark.parametrize('options', [{}, dict(with_cp=True)])
@pytest.mark.parametrize(('build', 'inputs'), SIGLIP2)
def test_blocks_of_transformers_are_compiled_too(build, inputs, options):
    compare(build, inputs, **options)


@pytest.mark.parametrize('chunk_size', [2, 3])
def test_frames_in_chunks(chunk_size):
    compare(vision, INPUTS[0][1], chunk_size=chunk_size)


@pytest.mark.slow
@pytest.mark.parametrize(('build', 'inputs'), INPUTS)
def test_generated_code_equals_eager(build, inputs):
    compare(build, inputs, True)


def test_unknown_backend_is_named():
    with pytest.raises(ConfigError, match=r"compiled='inducto': torch.compile has no such backend\. .*inductor"):
        vision('inducto')
