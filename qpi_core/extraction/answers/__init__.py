"""What a method is given and gives: the first estimate, a map under its noise model, and the estimate that comes of an answer."""
