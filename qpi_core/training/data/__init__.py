"""What the networks train on: stored data sets, and kernels and maps drawn afresh."""
