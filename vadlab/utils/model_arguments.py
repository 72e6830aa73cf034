"""The arguments CONFIG CHECKPOINT of a command, for both of which ``hf://USER/NAME`` stands; its calibration."""

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import replace

from .hub_address import is_address, parse_address, suggested_address
from .hub_session import shown_path
from .required_files import NO_CHECKPOINT

_WEIGHTS = ('.pth', '.pt', '.safetensors', '.bin', '.ckpt', '.pkl')


def add_model_arguments(
    parser: argparse._ActionsContainer, checkpoint_help: str, inputs: str = '', inputs_help: str = ''
) -> None:
    """Add ``config``, ``checkpoint`` and, if ``inputs`` is a name for them, ``inputs``.

    Args:
        parser (ArgumentParser): The parser, or a group of it.
        checkpoint_help (str): Help of the checkpoint.
        inputs (str): What the help calls an input, such as ``VIDEO``; empty for a command without inputs.
        inputs_help (str): Help of the inputs.
    """
    parser.add_argument(
        'config',
        help='the experiment, such as configs/fgclip_ucf.py; hf://USER/NAME takes config and checkpoint from the hub',
    )
    parser.add_argument('checkpoint', nargs='?', help=f'{checkpoint_help}; not needed with hf://USER/NAME')
    if inputs:
        parser.add_argument('inputs', nargs='*', metavar=inputs, help=inputs_help)


def parse_model_arguments(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse a command line of a parser with :func:`add_model_arguments`.

    With the address of a repository as the config, the next argument is the checkpoint only if it is the name of a file
    of weights, another address, or ``none``.
    """
    args = parser.parse_intermixed_args(argv)
    for text in filter(None, (args.config, args.checkpoint)):
        if meant := suggested_address(text):
            parser.error(f'{text} is not an address of a model. Write {meant}')
    has_inputs = hasattr(args, 'inputs')
    given = args.checkpoint
    if is_address(args.config) and getattr(args, 'backend', 'torch') == 'torch' and not _names_checkpoint(given):
        address = parse_address(args.config)
        args.checkpoint = str(replace(address, file='')) if address.file.endswith('.json') else args.config
        if has_inputs:
            args.inputs = [*([given] if given is not None else []), *args.inputs]
        elif given is not None:
            parser.error(f'{given} is not a checkpoint; {args.config} has one')
    if args.checkpoint is None:
        parser.error('the following arguments are required: checkpoint')
    if has_inputs and not args.inputs:
        name = next(str(action.metavar) for action in parser._actions if action.dest == 'inputs')
        order = f'. The order is CONFIG CHECKPOINT {name}; CHECKPOINT may be "none"'
        parser.error(
            f'the following arguments are required: {name}' + ('' if _names_checkpoint(args.checkpoint) else order)
        )
    return args


def calibrate_command(args: argparse.Namespace) -> str:
    """The command that calibrates the run of a command line: a calibration counts only for the same prompts and frames.

    Args:
        args (Namespace): With ``config``, ``checkpoint``, ``backend``, ``cfg_options`` and the prompts.
    """
    command = ['python', 'tools/calibrate.py', str(args.config), shown_path(args.checkpoint), 'FOLDER']
    for name in ('prompt', 'negative', 'prompt_file', 'negative_file', 'sampling', 'feature_config'):
        given = getattr(args, name, None)
        for value in given if isinstance(given, list) else [given]:
            if value is not None:
                command += [f'--{name.replace("_", "-")}', value]
    if args.backend != 'torch':
        command += ['--backend', args.backend]
    if args.cfg_options:
        command += ['--cfg-options', *args.cfg_options]
    return shlex.join(command)


def _names_checkpoint(text: str | None) -> bool:
    return text is not None and (is_address(text) or text.endswith(_WEIGHTS) or text == NO_CHECKPOINT)
