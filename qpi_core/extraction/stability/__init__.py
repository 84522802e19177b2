"""What two halves of the defects say of kernels."""
