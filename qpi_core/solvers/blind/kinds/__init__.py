"""Several kinds of defects from the map alone: an activation map and kernels for each, all solved together."""
