"""How long OpenMP's threads wait awake for each other. Has to be imported before torch.

On Linux, torch's own builds compute on GCC's OpenMP (libgomp). Its threads wait for work, and for each other, in a loop
before they sleep: 300,000 rounds by default. Alone on a machine that saves the time of waking up. Beside other programs
it costs far more than it saves, since a thread that waits keeps the core from the thread that it waits for. libgomp
reads its settings from the environment once, when torch loads it; so this module sets one, unless the user did.
``python tools/benchmark.py threads`` measures it, beside 0, 2 and 5 busy programs.
"""

import os

SPIN_COUNT = 10_000

if 'GOMP_SPINCOUNT' not in os.environ and 'OMP_WAIT_POLICY' not in os.environ:
    os.environ['GOMP_SPINCOUNT'] = str(SPIN_COUNT)
