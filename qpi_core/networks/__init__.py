"""The kernel VAE, the observation encoder and the one-step baseline."""
