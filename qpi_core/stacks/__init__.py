"""Kernels of every layer of an energy stack, from one set of defect positions."""

from qpi_core.stacks.estimate import LayerKernel, StackEstimate
from qpi_core.stacks.extraction import extract_stack

__all__ = ["LayerKernel", "StackEstimate", "extract_stack"]
