"""The linear problem of the harmonic solver: basis, normal equations, evidence."""
