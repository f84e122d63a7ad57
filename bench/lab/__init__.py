"""What benchmarks stand on: in come a machine and nets, out comparable times."""
