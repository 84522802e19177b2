"""The forward operators of the problem, and conjugate gradients on their normal equations."""
