"""What a fit says of the kernel: its pixels, its parameters and its waves, with their errors."""
