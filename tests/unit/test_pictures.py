"""From a preview to colours: each view, and what is taken over from the last picture."""

from __future__ import annotations

import numpy as np
import pytest

from speckless.plugin.core.display import SCALE_SIZE, gray_table
from speckless.plugin.core.models.card import ModelCard
from speckless.plugin.core.tiling import Window
from speckless.plugin.jobs.pictures import Palette, draw
from speckless.plugin.jobs.preview_image import Preview
from speckless.plugin.jobs.scene_cache import Scene
from speckless.plugin.raster.sampling import SceneStatistics

LOOKS = 4.0


@pytest.fixture
def preview() -> Preview:
    """An affine preview of half a scene: the right half's tile has not come in."""
    statistics = SceneStatistics(1.0, 1.0, None, 1.0)
    scene = Scene("scene.tif", 1, 60, 40, "db", "as given", (), statistics, None)  # type: ignore[arg-type]
    card = ModelCard("m", "M", "dopamine", affine=True)
    made = Preview(Window(0, 0, 60, 40), 1, scene, card, LOOKS, LOOKS)
    z = np.random.default_rng(0).gamma(LOOKS, 1 / LOOKS, (40, 30)).astype(np.float32)
    a = np.full_like(z, 0.2)
    b = np.full_like(z, 0.8)
    made.put(Window(0, 0, 30, 40), {"z": z, "x": a * z + b, "a": a, "b": b})
    return made


@pytest.fixture
def palette() -> Palette:
    scale = np.arange(SCALE_SIZE, dtype=np.uint32) | np.uint32(0xFF000000)
    return Palette(gray_table(-25, 5, "db"), scale, scale)


class Unspeckled:
    """A preview whose estimate is its input."""

    def __init__(self, preview: Preview) -> None:
        self._preview = preview

    def __getattr__(self, name: str) -> object:
        return getattr(self._preview, name)

    def turned(self, knob: float) -> np.ndarray:
        return self._preview.intensity


@pytest.mark.parametrize("view", ["despeckled", "ratio", "difference", "a", "b"])
@pytest.mark.parametrize("knob", [1.0, LOOKS])
def test_what_is_not_there_is_transparent(
    preview: Preview, palette: Palette, view: str, knob: float
) -> None:
    picture = draw(preview, view, knob, palette, 0.5)
    assert picture.view == view
    for colours in (picture.colours, picture.original):
        assert (colours[:, :30] >> 24 == 255).all()
        assert (colours[:, 30:] == 0).all()


def test_despeckled_has_the_layers_grays(preview: Preview, palette: Palette) -> None:
    picture = draw(preview, "despeckled", 1.0, palette)
    shown = (10 * np.log10(picture.estimate[:, :30]) + 25) / 30 * 255
    assert np.abs((picture.colours[:, :30] & 255) - shown).max() < 1.3
    np.testing.assert_array_equal(picture.estimate, preview.turned(1.0))


def test_a_lower_knob_is_smoother(preview: Preview, palette: Palette) -> None:
    spreads = [
        np.nanstd(draw(preview, "despeckled", knob, palette).estimate) for knob in (1, 4, 16)
    ]
    assert spreads == sorted(spreads)
    assert spreads[0] < 0.5 * spreads[2]


def test_legends_tell_the_bounds(preview: Preview, palette: Palette) -> None:
    assert draw(preview, "despeckled", LOOKS, palette).legend is None
    ratio = draw(preview, "ratio", LOOKS, palette)
    assert ratio.legend == (0.4, 2.5)
    # 1 is in the middle: gray where the input is the estimate.
    same = draw(Unspeckled(preview), "ratio", LOOKS, palette)  # type: ignore[arg-type]
    assert np.abs((same.colours[:, :30] & 255).astype(int) - 128).max() <= 1
    low, high = draw(preview, "difference", LOOKS, palette).legend or (0, 0)
    assert -low == high > 1
    assert draw(preview, "a", LOOKS, palette).legend == (0, 1)


def test_original_is_coloured_once(preview: Preview, palette: Palette) -> None:
    first = draw(preview, "despeckled", 1.0, palette)
    again = draw(preview, "ratio", 2.0, palette, before=first)
    assert again.original is first.original
    anew = draw(preview, "ratio", 2.0, palette, 0.5, before=first)
    assert anew.original is not first.original


def test_layers_without_a_table_are_stretched(preview: Preview, palette: Palette) -> None:
    plain = Palette(None, palette.diverging, palette.rising)
    grays = draw(preview, "despeckled", LOOKS, plain).original[:, :30] & 255
    assert grays.min() == 0
    assert grays.max() == 255


def test_views_the_model_lacks_fall_back(preview: Preview, palette: Palette) -> None:
    card = ModelCard("n", "N", "ffdnet")
    other = Preview(preview.window, 1, preview.scene, card, LOOKS, 2.0)
    other.put(other.window, {"z": preview.intensity, "x": preview.estimate})
    picture = draw(other, "a", 9.0, palette)
    assert (picture.view, picture.knob) == ("despeckled", 2.0)
