"""Energy stacks."""
