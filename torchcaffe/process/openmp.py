"""How OpenMP's threads wait for one another; to be imported before torch.

GNU's OpenMP, which PyTorch's Linux wheels bring, lets a thread that has nothing to do spin. That
is quickest on a machine with nothing else to do, and several times slower as soon as another
process wants a core: who spins keeps the core from the thread that all are waiting for. So
threads spin for some microseconds only, and then sleep. OpenMP reads its environment once, when
it is loaded: whoever imports torch before torchcaffe keeps what it found.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

# Any of them says that the user has chosen.
NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
# The count is GNU's alone, and there it overrides the policy, which all other OpenMPs read.
CHOICE = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}


def let_threads_sleep(environment: MutableMapping[str, str]) -> None:
    """Choose the wait policy, unless the user has."""
    if not any(name in environment for name in NAMES):
        environment.update(CHOICE)


let_threads_sleep(os.environ)
