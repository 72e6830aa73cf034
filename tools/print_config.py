"""Print a config with all values of its bases: ``python tools/print_config.py CONFIG``.

Invalid settings are listed below it, with exit status 2.
"""

import argparse
from collections.abc import Sequence

from vadlab.utils.cli import run_cli
from vadlab.utils.printable import say
from vadlab.utils.required_files import require_config
from vadlab.utils.runtime import quiet_third_parties


def main(argv: Sequence[str] | None = None) -> int:
    """Print the config that the Runner gets; return the exit status."""
    parser = argparse.ArgumentParser(description='Print a config with all values of its bases.')
    parser.add_argument('config', help='the experiment, such as configs/fgclip_ucf.py')
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='change variables, or dotted keys')
    parser.add_argument('--variables', action='store_true', help='print only the variables')
    args = parser.parse_args(argv)
    require_config(args.config)

    from vadlab.utils.config import load_config, parse_cfg_options, read_config, runner_config
    from vadlab.utils.setup_env import register_all_modules

    quiet_third_parties()
    register_all_modules()
    options = parse_cfg_options(args.cfg_options)
    config = read_config(args.config, options)
    kept = runner_config(config)
    if args.variables:
        for name in sorted(set(config._cfg_dict) - set(kept._cfg_dict)):
            say(f'{name} = {config[name]!r}')
    else:
        say(kept.pretty_text, end='')
    load_config(args.config, options)
    return 0


if __name__ == '__main__':
    run_cli(main)
