"""Losses against their definitions."""

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

from qpi_core.synthesis.kernel_families.equation_7 import phenomenological_kernel
from qpi_core.training.losses import divergence, rotate_about_centre, symmetry_loss, uncertainty_loss


def kernel(order, wavenumber=2.0):
    return torch.from_numpy(phenomenological_kernel(order, 0.7, wavenumber, 0.5, 0.1))[None, None]


@pytest.mark.parametrize("order", [0, 2, 3, 4, 6])
def test_a_symmetric_kernel_costs_nothing_and_another_symmetry_does(order):
    # Eq. 7 is discontinuous at r = 0, so a little is left where the interpolation meets the centre.
    own = float(symmetry_loss(kernel(order), kernel(order), torch.tensor([order])))
    wrong = {0: 4, 2: 3, 3: 4, 4: 6, 6: 4}[order]
    assert own < 5e-4
    if order:
        assert float(symmetry_loss(kernel(order), kernel(order), torch.tensor([wrong]))) > 10 * own


def test_quarter_turn_equals_numpy_where_the_window_is_valid():
    image = np.random.default_rng(0).normal(size=(65, 65)).astype(np.float32)
    rotated, inside = rotate_about_centre(torch.from_numpy(image)[None, None], torch.tensor([np.pi / 2]))
    keep = inside[0, 0].numpy() > 0
    expected = np.rot90(image)
    assert keep[1:-1, 1:-1].all() and not keep[0].any()
    np.testing.assert_allclose(rotated[0, 0].numpy()[keep], expected[keep], atol=1e-3)


def test_pixels_from_outside_the_window_do_not_count():
    image = kernel(6)
    changed = image.clone()
    changed[..., 0, 0] = 100.0
    assert float(symmetry_loss(changed, image, torch.tensor([6]))) == pytest.approx(float(symmetry_loss(image, image, torch.tensor([6]))))


def test_kernels_without_symmetry_take_no_part():
    noise = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert float(symmetry_loss(noise, noise, torch.tensor([1, 1]))) == 0.0
    both = torch.cat([kernel(4), noise[:1]])
    assert float(symmetry_loss(both, both, torch.tensor([4, 1]))) < 1e-4


def test_divergence_is_a_sum_over_the_latent_and_a_mean_over_the_batch():
    moments = torch.randn(3, 8, 8, 8, generator=torch.Generator().manual_seed(1))
    expected = DiagonalGaussianDistribution(moments).kl().mean()
    torch.testing.assert_close(divergence(*moments.chunk(2, dim=1)), expected)


def test_the_likeliest_variance_is_the_mean_square_of_the_errors():
    error = torch.randn(4000, generator=torch.Generator().manual_seed(3)).requires_grad_() * 0.3
    logvar = torch.linspace(-4, 0, 81)
    losses = [float(uncertainty_loss(error, value)) for value in logvar]
    assert float(logvar[int(np.argmin(losses))]) == pytest.approx(np.log(0.09), abs=0.06)
    # Gaussian log-likelihood with its constant left out.
    own = torch.distributions.Normal(0.0, 0.5).log_prob(error.detach()).mean() + 0.5 * np.log(2 * np.pi)
    assert float(uncertainty_loss(error, torch.tensor(2 * np.log(0.5)))) == pytest.approx(-float(own), rel=1e-5)
    uncertainty_loss(error, logvar[3].requires_grad_())
    assert not uncertainty_loss(error, torch.tensor(0.0)).requires_grad, "the error itself is not drawn anywhere"
