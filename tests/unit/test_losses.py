"""Losses and their gradients, against finite differences and against what they must be."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from speckless.plugin.core import losses
from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.models.base import Estimate
from speckless.plugin.core.quality import psnr, ssim
from speckless.plugin.core.recipe import LOSSES, TERMS, Recipe

LOOKS = torch.tensor([1.0, 4.0], dtype=torch.float64)


def pair(seed=0, side=12):
    generator = torch.Generator().manual_seed(seed)
    shape = (2, 1, side, side)
    clean = torch.rand(shape, generator=generator, dtype=torch.float64) + 0.5
    return clean + 0.2 * torch.randn(shape, generator=generator, dtype=torch.float64), clean


def assert_gradient(function, at):
    """The gradient of a scalar function against central differences, pixel by pixel."""
    at = at.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(function(at), at)
    step = 1e-6
    places = [(0, 0, 0, 0), (0, 0, 5, 7), (1, 0, 11, 11), (1, 0, 3, 0), (1, 0, 11, 4)]
    with torch.no_grad():
        for place in places:
            up, down = at.clone(), at.clone()
            up[place] += step
            down[place] -= step
            expected = (function(up) - function(down)) / (2 * step)
            assert float(gradient[place]) == pytest.approx(float(expected), rel=1e-4, abs=1e-9)
    assert float(gradient.abs().max()) > 0


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_the_finite_differences(name):
    estimate, clean = pair()
    assert_gradient(lambda x: losses.LOSS_FUNCTIONS[name](x, clean), estimate)


@pytest.mark.parametrize("name", losses.TERM_FUNCTIONS)
def test_gradients_of_terms_are_the_finite_differences(name):
    x, _ = pair()
    term = losses.TERM_FUNCTIONS[name]

    def of(values):
        return term(Estimate(values) if name == "tv" else Estimate(x, noise_level=values), LOOKS)

    assert_gradient(of, x if name == "tv" else x - 0.5)


def test_recipes_know_every_loss_and_term():
    assert set(LOSSES) == set(losses.LOSS_FUNCTIONS)
    assert set(losses.TERM_FUNCTIONS) <= set(TERMS)
    with pytest.raises(InvalidInput, match="colour"):
        Recipe(id="x", title="", architecture="boxcar", terms={"colour": 1.0})
    with pytest.raises(InvalidInput, match="entropy"):
        Recipe(id="x", title="", architecture="boxcar", loss="entropy")


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_least_at_the_truth_and_grow_away_from_it(name):
    estimate, clean = pair()
    loss = losses.LOSS_FUNCTIONS[name]
    least = -60 if name == "psnr" else 0
    assert float(loss(clean, clean)) == pytest.approx(least, abs=1e-9)
    near = clean + 0.3 * (estimate - clean)
    assert least < float(loss(near, clean)) < float(loss(estimate, clean))


def test_psnr_loss_is_the_mean_over_images_of_what_is_measured():
    estimate, clean = pair()
    estimate[1] += 1  # A hard image must not hide the other.
    measured = [psnr(c[0].numpy(), x[0].numpy()) for c, x in zip(clean, estimate, strict=True)]
    assert float(losses.psnr_loss(estimate, clean)) == pytest.approx(-np.mean(measured))


def test_ssim_loss_is_one_less_the_ssim_measured():
    # quality.ssim leaves the borders out; so does this comparison, by their small share.
    estimate, clean = pair(side=160)
    estimate, clean = estimate.float(), clean.float()
    measured = np.mean(
        [ssim(clean[i, 0].numpy(), estimate[i, 0].numpy(), losses.RANGE) for i in range(2)]
    )
    assert float(losses.ssim_loss(estimate, clean)) == pytest.approx(1 - measured, abs=0.01)


def test_mixed_loss_weighs_as_the_paper_does():
    _, clean = pair()
    flat = torch.full_like(clean, 1.0)
    # Away from edges and structure only the luminance term and L1 are left.
    luminance = (2 * 1.1 + losses._C1) / (1 + 1.21 + losses._C1)
    expected = 0.84 * (1 - luminance) + 0.16 * 0.1 / losses.RANGE
    assert float(losses.mixed_loss(flat * 1.1, flat)) == pytest.approx(expected, rel=1e-6)
    assert float(losses.ms_ssim_loss(flat * 1.1, flat)) == pytest.approx(1 - luminance, rel=1e-6)


def test_log_cosh_is_that_and_does_not_overflow():
    clean = torch.ones(1, 1, 1, 2, dtype=torch.float64)
    estimate = torch.tensor([math.exp(0.6), 1e-6], dtype=torch.float64).view(1, 1, 1, 2)
    expected = (math.log(math.cosh(0.3)) + math.log(math.cosh(0.5 * math.log(1e6)))) / 2
    assert float(losses.log_cosh(estimate, clean)) == pytest.approx(expected, rel=1e-9)


def test_total_variation_is_the_gradients_length():
    x = torch.zeros(1, 1, 4, 5, dtype=torch.float64)
    x += 3 * torch.arange(5) + 4 * torch.arange(4)[:, None]
    # 12 pixels see both slopes, the last row only 3 (4 of them), the last column only 4 (3).
    expected = (12 * 5 + 4 * 3 + 3 * 4) / 20
    assert float(losses.total_variation(Estimate(x), LOOKS)) == pytest.approx(expected, rel=1e-6)


def test_too_low_a_noise_level_weighs_more():
    x = torch.zeros(2, 1, 3, 3, dtype=torch.float64)
    truth = LOOKS.rsqrt().view(-1, 1, 1, 1).expand_as(x)
    low, high, exact = (
        float(losses.asymmetric(Estimate(x, noise_level=truth + shift), LOOKS))
        for shift in (-0.1, 0.1, 0.0)
    )
    assert low == pytest.approx(0.7 * 0.01)
    assert high == pytest.approx(0.3 * 0.01)
    assert exact == 0


def test_noise_terms_ask_for_a_network_that_estimates_it():
    x = torch.ones(2, 1, 3, 3)
    for name in ("asymmetric", "noise_tv"):
        with pytest.raises(InvalidInput, match="noise level"):
            losses.TERM_FUNCTIONS[name](Estimate(x), LOOKS)


def test_terms_are_added_by_their_weights():
    estimate, clean = pair()
    whole = losses.combined("l1", {"tv": 0.25})(Estimate(estimate), clean, LOOKS)
    parts = losses.mean_absolute(estimate, clean) + 0.25 * losses.total_variation(
        Estimate(estimate), LOOKS
    )
    assert float(whole) == pytest.approx(float(parts), rel=1e-12)
