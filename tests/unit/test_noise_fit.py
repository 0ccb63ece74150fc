"""Densities fitted to estimated speckle."""

from __future__ import annotations

import numpy as np
import pytest

from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.noise_fit import NoiseMoments


def _fit(looks, mean=1.0, parts=1):
    values = np.random.default_rng(0).gamma(looks, mean / looks, (200, 200))
    moments = NoiseMoments()
    for part in np.array_split(values, parts):
        moments.add(part)
    return moments.fit(), values


@pytest.mark.parametrize("looks", [1.0, 4.5])
def test_gamma_speckle_is_recognised(looks):
    fit, _ = _fit(looks, 1.3)
    assert fit.looks == pytest.approx(looks, rel=0.03)
    assert fit.mean == pytest.approx(1.3, rel=0.02)
    # The exponential is the Gamma of one look.
    assert fit.gamma >= fit.exponential
    assert (fit.gamma - fit.exponential < 1e-3) == (looks == 1)


def test_densities_have_the_likelihood_stated():
    fit, values = _fit(3.0)
    gamma, exponential = fit.density(values)
    assert np.log(gamma).mean() == pytest.approx(fit.gamma, rel=1e-6)
    assert np.log(exponential).mean() == pytest.approx(fit.exponential, rel=1e-6)


def test_tiles_and_holes_do_not_matter():
    whole, values = _fit(2.0)
    assert _fit(2.0, parts=7)[0].looks == pytest.approx(whole.looks, rel=1e-9)
    moments = NoiseMoments()
    moments.add(np.concatenate([values.ravel(), [np.nan, 0.0, -1.0, np.inf]]))
    assert moments.fit().pixels == values.size


def test_nothing_and_constants_are_refused():
    for values in ([], [1.0, 1.0]):
        moments = NoiseMoments()
        moments.add(np.array(values))
        with pytest.raises(InvalidInput):
            moments.fit()
