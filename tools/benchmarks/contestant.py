"""The process of one contestant: it builds its job, then runs it for each command on standard input.

Answers are JSON lines on the original standard output. Output of libraries goes to standard error.
"""

import ctypes
import gc
import json
import os
import resource
import sys
import time
from typing import Any

import vadlab.openmp  # noqa: F401

from benchmarks.harness import find_job, resident_bytes


def _cpu_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def give_memory_back() -> None:
    """Return freed memory to the system, if the C library supports it, so that the next contestant can use it.

    glibc keeps freed memory. Several contestants of a comparison are alive together, so their kept memory adds up.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None) if os.name == 'posix' else None
    if trim is not None:
        trim(0)


def main() -> None:
    """Serve commands until ``finish``."""
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    task: dict[str, Any] = json.loads(sys.argv[1])
    if task['pin'] and hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    def answer(**content: Any) -> None:
        answers.write(json.dumps(content) + '\n')
        answers.flush()

    job_class = find_job(task['job'])
    baseline = resident_bytes()
    job = job_class(**task['options'])
    # A job that loads libraries in its constructor sets its own memory baseline.
    baseline = getattr(job, 'baseline_bytes', baseline)
    answer(ready=True)
    for order in sys.stdin:
        if order.strip() == 'finish':
            break
        wall, cpu = time.perf_counter(), _cpu_s()
        details = job.run()
        wall, cpu = time.perf_counter() - wall, _cpu_s() - cpu
        give_memory_back()  # outside of the measurement, and before the turn of the next contestant
        answer(wall_s=wall, cpu_s=cpu, details=details or {})
    details = job.finish() if hasattr(job, 'finish') else {}
    peak = resident_bytes(peak=True)
    if getattr(job, 'works_in_child', False):
        peak, baseline = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, 0
    answer(peak_bytes=peak, baseline_bytes=baseline, details=details or {})


if __name__ == '__main__':
    main()
