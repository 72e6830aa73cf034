"""Messages for a process of a distributed run whose partner has ended, where torch has a traceback of its own parts."""

import re

from .loader_workers import causes

# Errors of gloo name its source file; the others are those of NCCL and of torch's key-value store.
_ENDED = re.compile(
    r'gloo/\S+\].*(closed by peer|reset by peer|Broken pipe|[Ss]ocket (unexpectedly )?closed|pair closure)'
    r'|Gloo connectFullMesh failed|remote process exited|Failed to recv, got 0 bytes',
    re.DOTALL,
)
_SILENT = re.compile(r'gloo/\S+\].*Timed out waiting (\d+) ?ms', re.DOTALL)


def lost_rank_message(error: BaseException) -> str | None:
    """The message for an error that another process of a distributed run has caused by its end or by its silence.

    Returns:
        One message; None for any other error.
    """
    text = '\n'.join(str(each) for each in causes(error) if isinstance(each, RuntimeError))
    if _ENDED.search(text):
        return (
            'Another process of this run has ended, and its message says why; a killed one leaves none (often the '
            'machine is out of memory: see dmesg). A training run continues with --resume'
        )
    if silent := _SILENT.search(text):
        return (
            f'Another process of this run has not answered for {int(silent[1]) / 1000:.0f} s: it hangs, or the '
            'network between the machines is interrupted. A training run continues with --resume'
        )
    return None
