"""Several classes of defects told apart, on maps and on stacks."""
