"""The tracking benchmarks: each module reads one official layout into `Sequence`s, and nothing else."""
