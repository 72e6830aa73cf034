"""Convert any CLIP that VADLab reads to its own safetensors: ``python tools/convert_checkpoint.py SOURCE OUT``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadlab.utils.cli import run_cli
from vadlab.utils.errors import CheckpointError, ConfigError
from vadlab.utils.printable import say
from vadlab.utils.required_files import require_clip_weights

if TYPE_CHECKING:
    from vadlab.models.checkpoints.clip_weights import CLIPWeights


EXAMPLES = """examples:
  python tools/convert_checkpoint.py ViT-B-32.pt clip_vit_b32.safetensors --half
  python tools/convert_checkpoint.py openai/clip-vit-base-patch32 clip_vit_b32.safetensors
  python tools/convert_checkpoint.py work_dirs/clip_everyday_pretrain/iter_1800.pth small.safetensors --half \\
      --note command="python tools/train.py configs/clip_everyday_pretrain.py" --note seed=0
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Convert a CLIP (OpenAI .pt, OpenCLIP, Hugging Face folder or id, FG-CLIP, a checkpoint of '
        "VADLab) to VADLab's own safetensors. Nothing in the source is executed.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('source', help='a file, a folder, or a Hugging Face id')
    parser.add_argument('out', type=Path, help='the file to write, *.safetensors')
    parser.add_argument('--half', action='store_true', help='store float16: half the size')
    parser.add_argument('--no-long', action='store_true', help='omit the position table of long texts, if there is one')
    parser.add_argument(
        '--towers-only',
        action='store_true',
        help='omit everything that plain CLIP does not have: roi and text_filip projections, further temperatures',
    )
    parser.add_argument(
        '--heads',
        type=int,
        nargs=2,
        metavar=('VISION', 'TEXT'),
        help='attention heads of the towers (default: from the file, or from open_clip_config.json or config.json '
        'in its folder)',
    )
    parser.add_argument('--hidden-act', choices=('quick_gelu', 'gelu'), help='activation (default: as for --heads)')
    parser.add_argument(
        '--note',
        action='append',
        default=[],
        metavar='KEY=TEXT',
        help="an entry of the file's metadata; may be repeated",
    )
    parser.add_argument('--force', action='store_true', help='replace the file if it exists')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    if args.out.exists() and not args.force:
        raise ConfigError(f'{args.out} exists; give another name, or --force to replace it.')
    notes = dict(note.partition('=')[::2] for note in args.note)
    if any('=' not in note or note.startswith('=') for note in args.note):
        raise ConfigError(f'--note {" ".join(args.note)}: each must be KEY=TEXT.')
    require_clip_weights(args.source)

    from vadlab.models.checkpoints.clip_loading import load_clip_checkpoint
    from vadlab.models.checkpoints.clip_saving import save_clip

    weights = load_clip_checkpoint(args.source)
    for tower, heads in zip(('vision', 'text'), args.heads or (), strict=False):
        _override(weights, tower, 'heads', heads)
    if args.hidden_act:
        for tower in ('vision', 'text'):
            _override(weights, tower, 'hidden_act', args.hidden_act)
    for tower in ('vision', 'text'):
        width, heads = weights.arch[tower]['width'], weights.arch[tower]['heads']
        if heads is None or weights.arch[tower]['hidden_act'] is None:
            raise CheckpointError(
                f'{weights.source} does not contain the heads and activation of its {tower} tower. Set --heads VISION '
                'TEXT and --hidden-act, or put its open_clip_config.json or config.json into its folder.'
            )
        if heads < 1 or width % heads:
            raise CheckpointError(f'{heads} heads do not divide the {tower} width of {width}.')
    if args.no_long:
        weights.text.pop('positional_embedding_long', None)
        weights.arch['text']['long_context_length'] = None
    if args.towers_only:
        plain = ('visual_projection.weight', 'text_projection.weight', 'logit_scale')
        weights.extras = {name: tensor for name, tensor in weights.extras.items() if name in plain}
    save_clip(weights, args.out, half=args.half, metadata={'source': Path(weights.source).name, **notes})
    parameters = sum(tensor.numel() for tensor in weights.state_dict().values())
    for tower in ('vision', 'text'):
        say(f'{tower:>10}: ' + ', '.join(f'{name}={value}' for name, value in weights.arch[tower].items()))
    say(f' embed_dim: {weights.arch["embed_dim"]}')
    say(f'    extras: {", ".join(weights.extras)}')
    say(f'   written: {args.out}, {parameters:,} numbers, {args.out.stat().st_size / 1e6:.1f} MB')
    return 0


def _override(weights: CLIPWeights, tower: str, name: str, value: Any) -> None:
    """Use an option instead of the value of the file or of the JSON in its folder."""
    told = weights.arch[tower][name]
    if told is not None and told != value:
        say(f'{weights.source} has {tower} {name}={told}; the option sets {value}.')
    weights.arch[tower][name] = value


if __name__ == '__main__':
    run_cli(main)
