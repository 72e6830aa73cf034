"""Training steps relative to the measured limits of a chip: the sections of tools/gpu_check.py."""

import contextlib
import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vadlab.engine.late_scalars import LateScalars
from vadlab.engine.optim.amp_optim_wrapper import AmpOptimWrapper
from vadlab.engine.optim.waiting_gradients import OptimWrapper
from vadlab.models.detectors.fgclip import FGCLIP
from vadlab.registry import MODELS

from .plain_fgclip import ARCHITECTURES, make_batch
from .step import MEAN, STD, pack

#: Steps that are measured, and steps before them.
STEPS, WARM_UP = 3, 1


@dataclass
class Result:
    """One line of the table. None: not measured.

    Attributes:
        section: ``step``, ``vadclip`` or ``fsgr``.
        case: Model, batch and frames.
        variant: ``plain``, ``checkpointing``, ``compile`` or ``gradient cache``.
        seconds: Seconds per step, median.
        frames_per_s: Frames per second.
        tflops: TFLOP/s of the model's own arithmetic; what is computed twice counts once.
        mfu: Share of the chip's measured rate of matrix products.
        peak_gib: Peak memory, GiB.
        busy: Share of a step in which the chip computes.
        note: Why nothing was measured.
    """

    section: str
    case: str
    variant: str
    seconds: float | None = None
    frames_per_s: float | None = None
    tflops: float | None = None
    mfu: float | None = None
    peak_gib: float | None = None
    busy: float | None = None
    note: str = ''


@dataclass
class Check:
    """A property that holds or not; ``found`` says by how much, or where it fails."""

    name: str
    holds: bool
    found: str


@dataclass
class Report:
    """All results of one run."""

    chip: str
    matrix_tflops: float
    results: list[Result] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Sizes:
    """What is measured: towers, frames per video, videos, and the batch of the gradient cache."""

    archs: tuple[str, ...] = ('ViT-B/32', 'ViT-B/16', 'ViT-L/14')
    frames: tuple[int, ...] = (64, 256)
    videos: int = 2
    contrast: int = 8
    matrix: int = 8192
    vadclip_videos: int = 128
    captions: int = 10
    tiny: bool = False


TINY = Sizes(('tiny',), (8,), 2, 4, 256, 4, 2, True)
VARIANTS = ('plain', 'checkpointing', 'gradient cache', 'compile')


class OutOfTime(Exception):
    """The time for the whole run is over."""


class Chip:
    """A device, and the clock of the run.

    Args:
        name (str): ``cuda`` or ``cpu``.
        seconds (float): Time for the whole run.
    """

    def __init__(self, name: str, seconds: float) -> None:
        self.device = torch.device(name)
        self.is_gpu = self.device.type == 'cuda'
        self.end = time.monotonic() + seconds

    @property
    def title(self) -> str:
        """Its name, for the report."""
        if self.is_gpu:
            return f'{torch.cuda.get_device_name()}, torch {torch.__version__}'
        return f'CPU, {torch.get_num_threads()} threads, torch {torch.__version__}'

    def wait(self) -> None:
        """Wait until the device has finished its work."""
        if self.is_gpu:
            torch.cuda.synchronize()

    def check_time(self) -> None:
        """Raise :class:`OutOfTime` if the run's time is over."""
        if time.monotonic() > self.end:
            raise OutOfTime

    def clean(self) -> None:
        """Free what an earlier case left."""
        gc.collect()
        if self.is_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def time(self, action: Callable[[], Any], runs: int = STEPS, warm_up: int = WARM_UP) -> float:
        """Median seconds of a call, after some calls that do not count."""
        taken = []
        for turn in range(warm_up + runs):
            self.check_time()
            self.wait()
            start = time.perf_counter()
            action()
            self.wait()
            if turn >= warm_up:
                taken.append(time.perf_counter() - start)
        return sorted(taken)[len(taken) // 2]

    def busy(self, action: Callable[[], Any]) -> float | None:
        """Share of a call's time in which the GPU runs kernels; None on a CPU."""
        if not self.is_gpu:
            return None
        from torch.profiler import ProfilerActivity, profile

        self.wait()
        with profile(activities=[ProfilerActivity.CUDA]) as profiler:
            start = time.perf_counter()
            action()
            self.wait()
            seconds = time.perf_counter() - start
        kernels = sum(event.self_device_time_total for event in profiler.key_averages()) / 1e6
        return min(kernels / seconds, 1.0)


def matrix_rate(chip: Chip, size: int) -> float:
    """FLOP/s of the product of two square bfloat16 matrices: the limit that MFU refers to."""
    a, b = (torch.randn(size, size, device=chip.device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / chip.time(lambda: a @ b, runs=10, warm_up=3)


# ---- training steps -------------------------------------------------------------------------------------------------


def build_fgclip(
    arch: str, variant: str = 'plain', contrast: int = 8, chunk: int = 2, long: bool = True, seed: int = 0
) -> nn.Module:
    """FG-CLIP with random weights and the parts of ``configs/fgclip_ucf.py`` that a training step uses."""
    torch.manual_seed(seed)
    settings = ARCHITECTURES[arch]
    vision, text = settings['vision_config'], settings['text_config']
    compiled = variant == 'compile' and (True if arch != 'tiny' else 'aot_eager')  # generating code takes minutes
    shared = dict(with_cp=variant == 'checkpointing', compiled=compiled)
    return FGCLIP(
        vision=dict(
            type='CLIPVisionTransformer',
            image_size=vision['image_size'],
            patch_size=vision['patch_size'],
            width=vision['hidden_size'],
            layers=vision['num_hidden_layers'],
            heads=vision['num_attention_heads'],
            **shared,
        ),
        text=dict(
            type='CLIPTextTransformer',
            width=text['hidden_size'],
            layers=text['num_hidden_layers'],
            heads=text['num_attention_heads'],
            long_context_length=248 if long else None,
            **shared,
        ),
        embed_dim=settings['projection_dim'],
        queue=dict(type='NegativeQueue', warmup=0),
        gradient_cache=dict(contrast_batch=contrast, chunk=chunk) if variant == 'gradient cache' else None,
        data_preprocessor=dict(type='VADDataPreprocessor', mean=MEAN, std=STD),
    )


class Step:
    """A training step as the Runner makes it: preprocessing, losses, gradients, clipping, AdamW.

    Args:
        chip (Chip): Where.
        model (nn.Module): The model.
        data (dict): The collated batch, on the host.
        mixed (bool): bfloat16 autocast.
    """

    def __init__(self, chip: Chip, model: nn.Module, data: dict[str, Any], mixed: bool = True) -> None:
        self.model = model.to(chip.device).train()
        if chip.is_gpu:
            data = {**data, 'inputs': [x.pin_memory() for x in data['inputs']]}
        self.data = data
        weights = [p for p in model.parameters() if p.requires_grad]
        options: dict[str, Any] = dict(
            optimizer=torch.optim.AdamW(weights, lr=1e-7, fused=True), clip_grad=dict(max_norm=1.0)
        )
        self.wrapper = AmpOptimWrapper(amp_on_cpu=True, **options) if mixed else OptimWrapper(**options)
        self._last: LateScalars | None = None

    def run(self) -> None:
        """One step; the values of the one before are read."""
        values = self.model.train_step(dict(self.data), self.wrapper)
        last, self._last = self._last, LateScalars({**values, 'grad_norm': self.wrapper.grad_norm})
        if last is not None:
            last.read()

    def values(self) -> dict[str, float]:
        """Values of the last step."""
        assert self._last is not None
        return self._last.read()


def measure(chip: Chip, result: Result, step: Step, flops: float | None, frames: int, rate: float) -> Result:
    """Fill a line of the table."""
    seconds = chip.time(step.run)
    peak = torch.cuda.max_memory_allocated() / 2**30 if chip.is_gpu else None
    tflops = None if flops is None else flops / seconds / 1e12
    return replace(
        result,
        seconds=seconds,
        frames_per_s=frames / seconds if frames else None,
        tflops=tflops,
        mfu=None if tflops is None else tflops * 1e12 / rate,
        peak_gib=peak,
        busy=chip.busy(step.run),
    )


def fgclip_flops(chip: Chip, arch: str, frames: int) -> float:
    """Arithmetic of a plain step of two videos. It is linear in the frames, so two small steps are enough."""
    few, more = 8, 16
    found = []
    for count in (few, more):
        step = Step(chip, build_fgclip(arch), pack(make_batch(arch, 2, count)))
        with FlopCounterMode(display=False) as counter:
            step.run()
        found.append(counter.get_total_flops())
    return found[0] + (found[1] - found[0]) / (more - few) * (frames - few)


def fgclip_steps(chip: Chip, sizes: Sizes, rate: float) -> Iterator[Result]:
    """FG-CLIP: towers, frames and variants; compilation last, since it takes long."""
    flops: dict[tuple[str, int], float] = {}
    for variant in VARIANTS:
        videos = sizes.contrast if variant == 'gradient cache' else sizes.videos
        for frames in sizes.frames:
            for arch in sizes.archs:
                result = Result('step', f'{arch}, {videos} x {frames} frames', variant)
                yield attempt(chip, result, partial(fgclip_step, chip, result, arch, videos, frames, rate, flops))


def fgclip_step(
    chip: Chip,
    result: Result,
    arch: str,
    videos: int,
    frames: int,
    rate: float,
    flops: dict[tuple[str, int], float],
) -> Result:
    """One line of the table; ``flops`` keeps the arithmetic of a plain step of two videos."""
    if (arch, frames) not in flops:
        flops[arch, frames] = fgclip_flops(chip, arch, frames)
        chip.clean()
    step = Step(chip, build_fgclip(arch, result.variant, videos), pack(make_batch(arch, videos, frames)))
    return measure(chip, result, step, flops[arch, frames] * videos / 2, videos * frames, rate)


def other_steps(chip: Chip, sizes: Sizes, rate: float) -> Iterator[Result]:
    """VadCLIP and FSGR at their published sizes."""
    from .others import build_fsgr, build_vadclip

    for result, build, count in (
        (Result('vadclip', f'{sizes.vadclip_videos} videos', 'plain'), build_vadclip, sizes.vadclip_videos),
        (Result('fsgr', f'{sizes.captions} images', 'plain'), build_fsgr, sizes.captions),
    ):
        yield attempt(chip, result, partial(other_step, chip, result, partial(build, count, sizes.tiny), rate))


def other_step(
    chip: Chip, result: Result, build: Callable[[], tuple[nn.Module, dict[str, Any]]], rate: float
) -> Result:
    """One line of the table."""
    step = Step(chip, *build())
    with FlopCounterMode(display=False) as counter:
        step.run()
    return measure(chip, result, step, counter.get_total_flops(), 0, rate)


def attempt(chip: Chip, result: Result, run: Callable[[], Result]) -> Result:
    """Measure a case; on failure, note the reason."""
    chip.clean()
    try:
        chip.check_time()
        return run()
    except OutOfTime:
        return replace(result, note='no time left')
    except torch.OutOfMemoryError:
        return replace(result, note='out of memory')
    except (RuntimeError, ImportError) as error:
        lines = str(error).strip().splitlines() or ['']
        return replace(result, note=f'{type(error).__name__}: {lines[0][:120]}')
    finally:
        chip.clean()


# ---- checks ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def exact_products() -> Iterator[None]:
    """Without TF32, whose products have ten bits."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('highest')
    cudnn, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        torch.backends.cudnn.allow_tf32 = cudnn


def check_parity(chip: Chip, arch: str) -> Iterator[Check]:
    """Losses and gradient norm of the same step on the chip and on the CPU, in float32."""
    for variant in ('plain', 'gradient cache'):
        found = []
        for device in (Chip('cpu', 600.0), chip):
            with exact_products():
                step = Step(device, build_fgclip(arch, variant, 4), pack(make_batch(arch, 4, 8)), mixed=False)
                step.run()
                found.append(step.values())
        worst = max(abs(found[1][name] - value) / max(abs(value), 1.0) for name, value in found[0].items())
        yield Check(f'CPU and {chip.device.type} agree, {variant}, float32', worst < 1e-3, f'largest error {worst:.1e}')


def check_waits(chip: Chip, arch: str, frames: int) -> Iterator[Check]:
    """No hidden wait: a step in which every synchronisation with the host is an error."""
    for variant in ('plain', 'checkpointing', 'gradient cache'):
        name = f'no wait for the chip inside a step, {variant}'
        step = Step(chip, build_fgclip(arch, variant, 4), pack(make_batch(arch, 4, frames)))
        step.run()
        if not chip.is_gpu:
            step.run()
            yield Check(name, True, 'the step runs; waits exist on a GPU only')
            continue
        try:
            torch.cuda.set_sync_debug_mode('error')
            step.run()
            yield Check(name, True, 'none')
        except RuntimeError as error:
            yield Check(name, False, _place_of(error))
        finally:
            torch.cuda.set_sync_debug_mode('default')


def _place_of(error: BaseException) -> str:
    """The innermost line of VADLab or MMEngine that an error came through."""
    import traceback

    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if 'vadlab' in f.filename or 'mmengine' in f.filename
    ]
    first = str(error).splitlines()[0][:80]
    return f'{frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}' if frames else first


def check_compiled(chip: Chip, arch: str) -> Iterator[Check]:
    """Compiled towers give the results of eager ones, and are not compiled again for another batch."""
    found = []
    for variant in ('plain', 'compile'):
        with exact_products():
            step = Step(chip, build_fgclip(arch, variant), pack(make_batch(arch, 2, 8)), mixed=False)
            step.run()
            found.append(step.values())
    worst = max(abs(found[1][name] - value) / max(abs(value), 1.0) for name, value in found[0].items())
    yield Check('compiled towers equal eager ones, float32', worst < 1e-3, f'largest error {worst:.1e}')
    step.data = pack(make_batch(arch, 2, 12))
    with torch._dynamo.config.patch(error_on_recompile=True):
        try:
            step.run()
            yield Check('nothing is compiled again for other sizes', True, 'none')
        except Exception as error:
            yield Check('nothing is compiled again for other sizes', False, str(error).splitlines()[0][:100])


def run(device: str, sizes: Sizes, seconds: float, tell: Callable[[Result | Check], None]) -> Report:
    """Run all sections.

    Args:
        device (str): ``cuda`` or ``cpu``.
        sizes (Sizes): What is measured.
        seconds (float): Time for everything; what does not fit is listed as such.
        tell (Callable): Called with each result.
    """
    MODELS.import_from_location()
    chip = Chip(device, seconds)
    rate = matrix_rate(chip, sizes.matrix)
    report = Report(chip.title, rate / 1e12)
    arch = sizes.archs[0]
    for section in (check_parity(chip, arch), check_waits(chip, arch, sizes.frames[0]), check_compiled(chip, arch)):
        chip.clean()
        for check in section:
            report.checks.append(check)
            tell(check)
    for results in (other_steps(chip, sizes, rate), fgclip_steps(chip, sizes, rate)):
        for result in results:
            report.results.append(result)
            tell(result)
    return report
