"""Networks: training on a GPU, the paper's experiment, and what learning is good for."""
