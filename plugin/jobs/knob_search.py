"""The estimated risk over the knob, for a window that shows it: as `KNOB_AUTO` of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..core.models.card import ModelCard
from ..core.risk import KnobRisk
from ..engine.client import Engine
from ..raster.source import RasterSource
from .checks import check_model
from .doubts import correlation_warnings
from .giving_way import give_way
from .knob import ChosenKnob, IsCancelled, Known, choose_knob
from .preview import PreviewRequest
from .scene_cache import Scene, file_stamp

# Octaves to either side of the least risk that are drawn to their full height.
_VALLEY = 2.01
_ROUNDING = 1e-9


@dataclass(frozen=True)
class RiskPoint:
    """The risk at one setting of the knob.

    Attributes
    ----------
    knob : float
    risk : float
        Squared error over squared brightness.
    low, high : float
        One standard error to either side. The error is that of the difference from the least
        risk, from the same pixels: what the choice between knobs rests on.
    """

    knob: float
    risk: float
    low: float
    high: float


@dataclass(frozen=True)
class RiskCurve:
    """The risk over the knob, and what to make of it.

    Attributes
    ----------
    points : tuple of RiskPoint
        Rising in the knob.
    best : float
        Knob of least risk, between points.
    least : float
        Risk of the lowest point.
    error : float
        Standard error of the least risk itself.
    at_edge : bool
        The risk still fell at the end of the range.
    pixels : int
        The curve rests on.
    looks : float
        L of the speckle it is for.
    caution : str
        Why not to trust it; empty where nothing speaks against it.
    """

    points: tuple[RiskPoint, ...]
    best: float
    least: float
    error: float
    at_edge: bool
    pixels: int
    looks: float
    caution: str

    def at(self, knob: float) -> float | None:
        """The risk at a knob, between the points; None outside."""
        places = [math.log(point.knob) for point in self.points]
        place = math.log(knob)
        if not places[0] - _ROUNDING <= place <= places[-1] + _ROUNDING:
            return None
        return float(np.interp(place, places, [point.risk for point in self.points]))

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest risk to draw: the valley, not all of its flanks."""
        near = [p for p in self.points if abs(math.log2(p.knob / self.best)) <= _VALLEY]
        low, high = min(p.low for p in near), max(p.high for p in near)
        return low, high if high > low else low + max(abs(low), 1e-6)


class RiskSearch:
    """Estimates the risk over the knob; goes on where it was stopped. To be used by one thread."""

    def __init__(self) -> None:
        self._key: object = None
        self._known: Known = {}

    def run(self, request: PreviewRequest, scene: Scene, is_cancelled: IsCancelled) -> RiskCurve:
        """Estimate the curve of a band from windows spread over all of it.

        Other jobs that want the engine get it after the present window; the search goes on then.

        Parameters
        ----------
        request : PreviewRequest
            Its window, step and knob do not matter.
        scene : Scene
            Of the request's path, band and domain.
        is_cancelled : callable

        Raises
        ------
        Cancelled, EngineError, InvalidInput, ModelError, RasterError
            InvalidInput where the model is not affine, and on too few valid pixels.
        """
        path = request.model_path()
        card = ModelCard.read(path)
        check_model(card, None, (), knob_auto=True)
        looks = scene.looks_or(request.looks)
        key = (
            str(path), file_stamp(str(path)), request.path, file_stamp(request.path),
            request.band, scene.domain, looks, request.device, request.precision,
        )  # fmt: skip
        if key != self._key:
            self._key, self._known = key, {}
        with RasterSource(request.path, [request.band], scene.domain) as source:

            def search(engine: Engine) -> ChosenKnob:
                loaded = engine.load(path, request.device, request.precision, is_cancelled)
                statistics = {request.band: scene.statistics}
                return choose_knob(
                    source, engine, loaded, statistics, looks, is_cancelled, self._known,
                    gives_way=True,
                )  # fmt: skip

            chosen = give_way(search, request.python, is_cancelled)
        assert chosen.curve is not None  # `choose_knob` always gives it
        least = chosen.curve.risk[chosen.curve.best]
        return RiskCurve(
            points=curve_points(chosen.curve),
            best=chosen.knob,
            least=least.value,
            error=least.standard_error,
            at_edge=chosen.at_edge,
            pixels=chosen.pixels,
            looks=looks,
            caution=caution(card, scene, looks),
        )


def caution(card: ModelCard, scene: Scene, looks: float) -> str:
    """Why the risk of this scene is not to be trusted, as a run with `KNOB_AUTO` says it."""
    statistics = scene.statistics
    if not (card.affine and statistics.correlated) or statistics.correlation is None:
        return ""
    return " ".join(correlation_warnings(card.id, statistics.correlation, looks, None, True))


def curve_points(curve: KnobRisk) -> tuple[RiskPoint, ...]:
    """The curve as numbers to draw."""
    points = []
    for knob, risk, difference in zip(curve.knobs, curve.risk, curve.difference):
        low, high = risk.value - difference.standard_error, risk.value + difference.standard_error
        points.append(RiskPoint(float(knob), risk.value, low, high))
    return tuple(points)
