"""Figures of quality: each has the value it must have where that is known, or says why not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from speckless.plugin.core import quality
from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.metrics.block import MARGIN, Block
from speckless.plugin.core.metrics.edges import EdgeContrast, EdgeRatios, strongest_profiles
from speckless.plugin.core.metrics.fidelity import NAMES, Fidelity, sobel
from speckless.plugin.core.metrics.figure import Figure, figure, quotient
from speckless.plugin.core.metrics.radiometry import Radiometry
from speckless.plugin.core.metrics.structure import (
    RatioArea,
    first_order_residual,
    m_index,
    structure_test,
)
from speckless.plugin.core.metrics.targets import PointTargets
from speckless.plugin.core.speckle import simulate_speckle
from speckless.plugin.core.tiling import Window, plan_tiles


def speckle(shape=(64, 80), looks=4.0, seed=0, psf=0.0):
    return simulate_speckle(shape, looks, np.random.default_rng(seed), psf)


def step(shape=(63, 64), low=1.0, high=4.0):
    """Left half dark, right half bright."""
    image = np.full(shape, low)
    image[:, shape[1] // 2 :] = high
    return image


def mean_across(image, width):
    """Mean over so many columns, the edge pixel repeated."""
    padded = np.pad(image, ((0, 0), (width // 2, width // 2)), mode="edge")
    return sum(padded[:, i : i + image.shape[1]] for i in range(width)) / width


def blocks(noisy, estimate, valid=None, reference=None, size=(17, 23), margin=MARGIN):
    """The images cut into blocks with margins, and the whole."""
    whole = Block.whole(noisy, estimate, valid, reference)
    rows, columns = noisy.shape
    for y in range(0, rows, size[0]):
        for x in range(0, columns, size[1]):
            core = Window(x, y, min(size[1], columns - x), min(size[0], rows - y))
            [tile] = plan_tiles(Window(0, 0, columns, rows), core, max(size), margin)
            s = tile.source
            part = np.s_[s.y : s.bottom, s.x : s.right]
            yield Block(
                noisy[part], estimate[part], whole.valid[part], tile.inner, (s.x, s.y),
                None if reference is None else reference[part],
                None if reference is None else whole.reference_valid[part],
            )  # fmt: skip


def added(metric, parts):
    for part in parts:
        metric.add(part)
    return metric


def values(figures):
    return {name: found.value for name, found in figures.items()}


def test_a_figure_is_finite_or_says_why():
    assert figure(2.0, "no").value == 2.0
    for wrong in (math.inf, -math.inf, math.nan):
        assert figure(wrong, "because") == Figure(None, "because")
        with pytest.raises(ValueError):
            Figure(wrong)
    with pytest.raises(ValueError):
        Figure(None)
    assert quotient(1, 0, "nothing there").why == "nothing there"


MAKERS = {
    "radiometry": (Radiometry, lambda m: m.figures(4.0)),
    "ratios": (EdgeRatios, lambda m: m.figures()),
    "contrast": (lambda: EdgeContrast(4.0), lambda m: m.figures()),
    "targets": (lambda: PointTargets(4.0, 5000), lambda m: m.figures()),
    "fidelity": (lambda: Fidelity(4.0, 4.0), lambda m: m.figures()),
}


@pytest.mark.parametrize("name", MAKERS)
def test_blocks_give_what_the_whole_gives(name):
    make, figures = MAKERS[name]
    clean = np.kron(np.random.default_rng(1).choice([1.0, 6.0], (7, 6)), np.ones((18, 18)))
    clean[24, 10] = clean[40, 50] = 300.0
    noisy = clean * speckle(clean.shape, 16.0)
    estimate = mean_across(noisy, 3)
    valid = np.ones(clean.shape, bool)
    valid[:9, :30] = False
    valid[30:33, 5:8] = False
    whole = added(make(), [Block.whole(noisy, estimate, valid, clean)])
    parts = list(blocks(noisy, estimate, valid, clean))
    assert len(parts) == 40
    tiled = added(make(), parts)
    merged = make()
    for part in reversed(parts):
        merged.merge(added(make(), [part]))
    wanted = values(figures(whole))
    assert None not in wanted.values()
    assert values(figures(tiled)) == pytest.approx(wanted, rel=1e-9)
    assert values(figures(merged)) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("name", MAKERS)
def test_pixels_that_are_not_valid_do_not_count(name):
    make, figures = MAKERS[name]
    noisy = step() * speckle(step().shape)
    estimate, clean = mean_across(noisy, 3), step()
    valid = np.ones(clean.shape, bool)
    valid[10:14, 20:40] = False
    wanted = values(figures(added(make(), [Block.whole(noisy, estimate, valid, clean)])))
    for image in (noisy, estimate, clean):
        image[~valid] = np.nan
    found = values(figures(added(make(), [Block.whole(noisy, estimate, None, clean)])))
    assert found == wanted


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("case", ["nodata", "zeros", "one pixel", "constant"])
def test_what_cannot_be_told_says_why(name, case):
    make, figures = MAKERS[name]
    noisy = speckle()
    estimate, clean = noisy.copy(), np.ones(noisy.shape)
    if case == "nodata":
        estimate[:] = np.nan
    elif case == "zeros":
        estimate[:] = 0
        noisy[:] = 0
    elif case == "one pixel":
        noisy, estimate, clean = (image[:1, :1] for image in (noisy, estimate, clean))
    else:
        noisy[:], estimate[:] = 1, 1
    found = figures(added(make(), [Block.whole(noisy, estimate, None, clean)]))
    for one in found.values():
        assert (one.value is None) == bool(one.why)
    if case == "nodata":
        counts = {"TARGETS", "EDGE_PLACES"}
        assert all(one.value is None for key, one in found.items() if key not in counts)
        assert all(found[key].value == 0 for key in counts & set(found))


def test_ratio_and_bias():
    noisy = speckle((200, 200))
    metric = added(Radiometry(), [Block.whole(noisy, np.full(noisy.shape, 2.0))])
    found = values(metric.figures(4.0))
    assert found["MEAN_RATIO"] == pytest.approx(noisy.mean() / 2, rel=1e-6)
    assert found["VARIANCE_RATIO"] == pytest.approx(noisy.var(ddof=1) / 4, rel=1e-5)
    assert found["VARIANCE_RATIO_LOOKS"] == pytest.approx(4 * found["VARIANCE_RATIO"])
    assert found["BIAS_DB"] == pytest.approx(10 * math.log10(2 / noisy.mean()))
    perfect = values(added(Radiometry(), [Block.whole(noisy, np.ones(noisy.shape))]).figures(4.0))
    assert perfect["MEAN_RATIO"] == pytest.approx(1, abs=0.01)
    assert perfect["VARIANCE_RATIO_LOOKS"] == pytest.approx(1, rel=0.03)


def test_bias_by_level():
    clean = np.repeat([0.01, 1.0, 50.0, 1000.0], 250).reshape(20, 50)
    estimate = clean * np.where(clean < 0.1, 2.0, 1.0)
    levels = added(Radiometry(), [Block.whole(clean, estimate)]).levels(4)
    assert [level.pixels for level in levels] == [250] * 4
    assert [level.bias_db for level in levels] == pytest.approx([3.0103, 0, 0, 0], abs=1e-3)
    assert levels[0].low <= 10 * math.log10(0.02) <= levels[0].high
    assert Radiometry().levels() == []


def test_epd_roa_of_known_neighbours():
    noisy = np.array([[1.0, 2.0], [4.0, 8.0]])
    estimate = np.array([[1.0, 1.0], [3.0, 3.0]])
    found = values(added(EdgeRatios(), [Block.whole(noisy, estimate)]).figures())
    assert found["EPD_ROA_X"] == pytest.approx((1 + 1) / (1 / 2 + 4 / 8))
    assert found["EPD_ROA_Y"] == pytest.approx((1 / 3 + 1 / 3) / (1 / 4 + 2 / 8))
    same = values(added(EdgeRatios(), [Block.whole(noisy, noisy)]).figures())
    assert same == {"EPD_ROA_X": 1.0, "EPD_ROA_Y": 1.0}


@pytest.mark.parametrize("turned", [False, True])
def test_edge_contrast_of_a_step_without_speckle(turned):
    clean = np.tile(step(), (3, 1))
    blurred = mean_across(clean, 5)
    # The edge lies between columns 31 and 32; two columns at either side are compared.
    before = math.log(4)
    after = math.log(blurred[0, 32:34].mean() / blurred[0, 30:32].mean())
    images = (clean.T, blurred.T) if turned else (clean, blurred)
    metric = added(EdgeContrast(100.0), [Block.whole(*images)])
    same = added(EdgeContrast(100.0), [Block.whole(images[0], images[0])])
    assert same.figures()["EDGE_CONTRAST"].value == pytest.approx(1)
    assert metric.figures()["EDGE_CONTRAST"].value == pytest.approx(after / before, rel=1e-9)
    assert after / before < 0.5
    assert metric.places == 21  # bands of 9 rows


@pytest.mark.parametrize("looks", [1.0, 4.0])
def test_edge_contrast_under_speckle(looks):
    rng = np.random.default_rng(3)
    pattern = rng.choice([1.0, 10.0], (8, 8))
    clean = np.kron(pattern, np.ones((32, 32)))
    noisy = clean * rng.gamma(looks, 1 / looks, clean.shape)
    perfect = added(EdgeContrast(looks), [Block.whole(noisy, clean)]).figures()
    assert perfect["EDGE_CONTRAST"].value == pytest.approx(1, abs=0.08)
    same = added(EdgeContrast(looks), [Block.whole(noisy, noisy)]).figures()
    assert same["EDGE_CONTRAST"].value == pytest.approx(1)
    blurred = mean_across(mean_across(clean, 7).T, 7).T
    soft = added(EdgeContrast(looks), [Block.whole(noisy, blurred)]).figures()
    assert soft["EDGE_CONTRAST"].value < 0.3
    flat = speckle((256, 256), looks, seed=5)
    none = added(EdgeContrast(looks), [Block.whole(flat, flat)]).figures()["EDGE_CONTRAST"]
    assert none.value is None and "too few" in none.why


def test_profile_crosses_the_strongest_edge():
    clean = step((45, 64), 1.0, 10.0)
    clean[:, :10] = 2.0
    noisy = clean * speckle(clean.shape, 16.0)
    [profile] = strongest_profiles(noisy, clean, np.ones(clean.shape, bool), 16.0)
    assert profile.vertical
    assert abs(profile.column - 31) <= 2
    after = dict(zip(profile.distance, profile.after))
    assert (after[-8.5], after[8.5]) == (1.0, 10.0)
    assert profile.before[-1] == pytest.approx(
        noisy[profile.row - 4 : profile.row + 5, profile.column + 12].mean(), rel=1e-6
    )
    flat = np.ones((45, 64))
    assert strongest_profiles(flat, flat, np.ones(flat.shape, bool), 4.0) == []


def test_fidelity_equals_the_whole_image_functions():
    clean = step() + np.linspace(0, 1, 64)
    noisy = clean * speckle(clean.shape)
    estimate = mean_across(noisy, 3)
    found = values(added(Fidelity(5.0, 4.0), [Block.whole(noisy, estimate, None, clean)]).figures())
    assert set(found) == set(NAMES)
    assert found["PSNR"] == pytest.approx(quality.psnr(clean, estimate, 5.0))
    assert found["PSNR_INPUT"] == pytest.approx(quality.psnr(clean, noisy, 5.0))
    assert found["SSIM"] == pytest.approx(quality.ssim(clean, estimate, 4.0))
    assert found["SSIM_INPUT"] == pytest.approx(quality.ssim(clean, noisy, 4.0))
    assert found["DG"] == pytest.approx(found["PSNR"] - found["PSNR_INPUT"])
    assert found["LOG_RMSE_DB"] == pytest.approx(
        10 / math.log(10) * quality.log_rmse(estimate, clean), rel=1e-3
    )
    gradients = sobel(estimate).sum() / sobel(clean).sum()
    assert found["EPI"] == pytest.approx(max(0, 1 - abs(1 - gradients)))


def test_edge_preservation_index_by_hand():
    clean = np.zeros((5, 5))
    clean[:, 3:] = 1.0
    half = 0.5 * clean
    assert sobel(clean).tolist() == [[0.0, 4.0, 4.0]] * 3
    for estimate, wanted in ((clean, 1.0), (half, 0.5), (1.75 * clean, 0.25), (3 * clean, 0.0)):
        metric = added(Fidelity(1.0, 1.0), [Block.whole(clean, estimate + 1, None, clean)])
        assert metric.figures()["EPI"].value == pytest.approx(wanted)


def test_perfect_estimate_is_no_infinite_figure():
    clean = step()
    noisy = clean * speckle(clean.shape)
    found = added(Fidelity(4.0, 3.0), [Block.whole(noisy, clean, None, clean)]).figures()
    assert found["PSNR"].value is None and "equals the reference" in found["PSNR"].why
    assert found["DG"].value is None
    assert found["SSIM"].value == pytest.approx(1)
    assert found["EPI"].value == pytest.approx(1)
    assert found["LOG_RMSE_DB"].value == 0
    with pytest.raises(InvalidInput, match="constant"):
        Fidelity(4.0, 0.0)


def test_targets_are_found_and_measured():
    noisy = speckle((128, 128), 1.0)
    places = [(20, 30), (64, 64), (100, 90)]
    for row, column in places:
        noisy[row, column] = 400.0
    estimate = np.ones(noisy.shape)
    for row, column in places:
        estimate[row, column] = 200.0
    metric = added(PointTargets(1.0, noisy.size), [Block.whole(noisy, estimate)])
    assert {(t.row, t.column) for t in metric.found} == set(places)
    found = values(metric.figures())
    assert found["TARGETS"] == 3
    assert found["PEAK_CHANGE_DB"] == pytest.approx(10 * math.log10(0.5))
    assert found["CNN_DESPECKLED"] == pytest.approx(10 * math.log10(200))
    around = [(noisy[r - 1 : r + 2, c - 1 : c + 2].sum() - 400) / 8 for r, c in places]
    assert found["CNN_INPUT"] == pytest.approx(
        np.mean([10 * math.log10(400 / mean) for mean in around]), rel=1e-6
    )


@pytest.mark.parametrize("looks", [0.8, 1.0, 4.0])
def test_speckle_alone_is_no_target(looks):
    noisy = speckle((200, 200), looks, seed=2)
    metric = added(PointTargets(looks, noisy.size), [Block.whole(noisy, noisy)])
    assert metric.found == []
    figures = metric.figures()
    assert figures["TARGETS"].value == 0
    assert "no point target" in figures["PEAK_CHANGE_DB"].why


def test_pure_speckle_has_no_structure():
    # Of 20 draws, about one is below 0.05; of one draw the rank is even.
    p = [
        structure_test(speckle((48, 48), 1.0, seed), permutations=39).p_value for seed in range(20)
    ]
    assert sum(value <= 0.05 for value in p) <= 4
    assert 0.25 < np.mean(p) < 0.75


def test_structure_is_found_and_grows():
    noise = speckle((64, 64), 4.0)
    waves = 1 + 0.3 * np.sin(np.arange(64) / 4)
    little, much = (structure_test(noise * (1 + share * (waves - 1))) for share in (0.75, 1.2))
    assert little.p_value == much.p_value == 0.01
    assert much.excess > little.excess > 0
    assert much.homogeneity > much.expected


def test_correlated_speckle_is_no_structure_at_a_wider_lag():
    noise = speckle((72, 72), 1.0, psf=0.9)
    assert structure_test(noise, lag=1).p_value == 0.01
    assert structure_test(noise, lag=6).p_value > 0.02


def test_homogeneity_of_a_checkerboard():
    board = np.indices((32, 32)).sum(0) % 2 + 1.0
    found = structure_test(board, permutations=9)
    # Levels 0 and 31 in a plane of two values; diagonal neighbours are equal, others differ.
    levels = {
        float(v): int(np.searchsorted(np.quantile(board, np.arange(1, 32) / 32), v, side="right"))
        for v in (1.0, 2.0)
    }
    apart = abs(levels[2.0] - levels[1.0])
    straight, diagonal = 2 * 32 * 31, 2 * 31 * 31
    wanted = (diagonal + straight / (1 + apart**2)) / (straight + diagonal)
    assert found.homogeneity == pytest.approx(wanted)


def test_blocks_of_a_ratio_are_not_neighbours():
    ratio = np.stack([speckle((40, 40), 1.0, 1), 5 * speckle((40, 40), 1.0, 2)])
    valid = np.ones(ratio.shape, bool)
    valid[0, :, 20:] = False
    found = structure_test(ratio, valid, permutations=9)
    assert found.pixels == 2400
    with pytest.raises(InvalidInput, match="256 are needed"):
        structure_test(ratio[0, :10, :10])
    with pytest.raises(InvalidInput, match="the same everywhere"):
        structure_test(np.ones((32, 32)))
    with pytest.raises(InvalidInput, match="lie 50 pixels apart"):
        structure_test(ratio, lag=50)


def test_m_index():
    residual = first_order_residual([RatioArea(4.0, 4.0, 1.0), RatioArea(4.0, 3.0, 1.1)])
    assert residual.value == pytest.approx((0 + (0.25 + 0.1) / 2) / 2)
    assert m_index(residual, Figure(2.0)).value == pytest.approx(2.0875)
    assert m_index(residual, Figure(None, "no ratio")).why == "no ratio"
    assert m_index(first_order_residual([]), Figure(2.0)).value is None
