"""How far kernels are from the truth: metrics, the benchmark, and the paper's experiment."""
