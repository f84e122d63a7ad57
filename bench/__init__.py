"""Benchmarks, printed by `make bench` (`python -m bench [--only NAME]`).

One file a benchmark; each registers itself with `registry.benchmark`. Contenders run
interleaved in one process and medians are compared, so that a busy machine slows all of
them alike.
"""

import torchcaffe  # noqa: F401 - before torch, see torchcaffe.process.openmp
