"""Convert the linear layers of a trained model to 8-bit integers, for inference on CPUs.

Usage::

    python tools/quantize.py configs/mbt_wildlife.py work_dirs/mbt_wildlife/epoch_50.pth --out mbt_wildlife_int8.pth
    python tools/test.py configs/mbt_wildlife.py mbt_wildlife_int8.pth

Weights are rounded with one scale per output channel. Activations are rounded while the model runs (dynamic
quantization), so no calibration data are needed. The model is tested before and after, and the changes are printed.
Convolutions are not changed.
"""

import argparse
import copy
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadlab.utils.cli import run_cli
from vadlab.utils.errors import CheckpointError, ConfigError
from vadlab.utils.model_arguments import add_model_arguments, parse_model_arguments
from vadlab.utils.option_checks import require_file
from vadlab.utils.printable import say
from vadlab.utils.required_files import require_checkpoint, require_config
from vadlab.utils.runtime import (
    add_common_arguments,
    config_from_arguments,
    default_work_dir,
    format_table,
    format_value,
)

if TYPE_CHECKING:
    pass


@dataclass
class Measured:
    """Result of a test: the model, its metrics, and the model's time per sample in seconds."""

    model: Any
    metrics: dict[str, Any]
    seconds: float


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Convert the linear layers of a trained model to 8-bit integers.')
    add_model_arguments(parser, 'its weights, such as work_dirs/mbt_wildlife/epoch_50.pth')
    parser.add_argument('--out', required=True, metavar='FILE.pth', help='the checkpoint to write')
    parser.add_argument('--work-dir', help='folder for the log (default: work_dirs/CONFIG)')
    add_common_arguments(parser)
    return parse_model_arguments(parser, argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    require_file(args.out, '--out', '.pth')
    require_config(args.config)
    args.checkpoint = require_checkpoint(args.checkpoint)
    config = config_from_arguments(args)

    from vadlab.checkpoints.checkpoint_io import read_checkpoint, write_checkpoint
    from vadlab.checkpoints.quantization import quantized_checkpoint
    from vadlab.utils.config import require_parts

    require_parts(config, args.config, 'tested')
    out = Path(args.out)
    if out.resolve() == Path(args.checkpoint).resolve():
        raise ConfigError(f'--out {out}: must be another file than the checkpoint.')
    checkpoint = read_checkpoint(args.checkpoint)
    if 'quantization' in checkpoint:
        raise CheckpointError(f'{args.checkpoint} is quantised already.')
    config.work_dir = args.work_dir or config.get('work_dir') or default_work_dir(args.config)
    before = measure(config, args.checkpoint)
    sizes = [_bytes({'state_dict': before.model.state_dict()})]
    quantized = quantized_checkpoint(before.model, checkpoint.get('meta', {}))
    write_checkpoint(quantized, out)
    sizes.append(_bytes({'state_dict': quantized['state_dict']}))
    after = measure(config, args.out)
    say('\n' + format_table(compare(before, after, sizes), ('', 'before', 'int8', 'change')))
    say(f'\n{len(quantized["quantization"]["layers"])} linear layers converted to 8-bit integers: {out}')
    return 0


def measure(config: Any, checkpoint: str) -> Measured:
    """Test a checkpoint on the CPU."""
    from vadlab.engine.runner import VADRunner

    config = copy.deepcopy(config)
    config.load_from, config.resume = checkpoint, False
    for part in ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler'):
        config[part] = None
    for part in ('val_dataloader', 'val_cfg', 'val_evaluator'):
        config[part] = None
    runner = VADRunner.from_cfg(config)
    model = runner.bare_model.to('cpu')
    clock = _Clock()
    hooks = model.register_forward_pre_hook(clock.start), model.register_forward_hook(clock.stop)
    metrics = runner.test()
    for hook in hooks:
        hook.remove()
    return Measured(model, metrics, clock.seconds / max(len(runner.test_dataloader.dataset), 1))


def compare(before: Measured, after: Measured, sizes: Sequence[int]) -> list[tuple[str, ...]]:
    """Rows of the table: size, time and metrics before and after."""
    times = before.seconds, after.seconds
    rows = [
        ('weights', *(f'{size / 1e6:.1f} MB' for size in sizes), f'x {sizes[1] / sizes[0]:.2f}'),
        ('model, a sample', *(f'{1e3 * t:.1f} ms' for t in times), f'x {times[1] / times[0]:.2f}' if times[0] else ''),
    ]
    for name, value in before.metrics.items():
        other = after.metrics.get(name)
        numbers = isinstance(value, int | float) and isinstance(other, int | float)
        rows.append((name, format_value(value), format_value(other), f'{other - value:+.4f}' if numbers else ''))
    return rows


class _Clock:
    """Measures the forward time of a module in seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._started = 0.0

    def start(self, *_: Any) -> None:
        self._started = time.perf_counter()

    def stop(self, *_: Any) -> None:
        self.seconds += time.perf_counter() - self._started


def _bytes(content: dict[str, Any]) -> int:
    import torch

    file = io.BytesIO()
    torch.save(content, file)
    return file.tell()


if __name__ == '__main__':
    run_cli(main)
