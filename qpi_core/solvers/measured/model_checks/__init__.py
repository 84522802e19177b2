"""Whether a map asks for a noise model at all: what a fit without one leaves."""
