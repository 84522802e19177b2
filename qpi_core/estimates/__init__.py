"""What is returned: estimates of kernels, and what every solver hands over."""
