"""The paper's own experiment, repeated."""
