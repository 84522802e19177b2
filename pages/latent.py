"""Where the training kernels lie in the latent space, and where yours does."""

from ui.entrance import enter_through_app
from ui.latent_page import show_latent_page

enter_through_app()
show_latent_page()
