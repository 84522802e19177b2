"""Right side of the Extract page: the defects, marked, listed, proposed or found."""
