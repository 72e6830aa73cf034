"""The parts of ``tools/benchmark.py``: one module per section, over one measuring harness."""
