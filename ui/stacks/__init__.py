"""The Stacks page."""
