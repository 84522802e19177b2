"""What a map holds besides the kernel: background, coloured noise, unequal defects, and how much the map says of each."""
