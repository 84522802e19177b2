"""Lists of defects between pixels instead of activation maps."""
