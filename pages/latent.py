"""Where the training kernels lie in the latent space, and where yours does."""

from ui.latent_page import show_latent_page

show_latent_page()
