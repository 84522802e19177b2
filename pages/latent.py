"""Where the training kernels lie in the latent space, and where yours does."""

from ui.latent.page import show_latent_page
from ui.widgets.entrance import enter_through_app

enter_through_app()
show_latent_page()
