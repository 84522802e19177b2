"""Several classes of defects in one map."""
