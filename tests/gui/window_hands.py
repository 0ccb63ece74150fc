"""Hands in the real QGIS window: the mouse over pixels of a scene, keys, the list of areas.

Imported by a scenario inside QGIS, by way of the folder that it lies in.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Any

from qgis.core import QgsPointXY, QgsProject
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication
from qgis.utils import iface
from window_tools import FOLDER, dock, perform, seen, take, wait_for

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
CONTROL = Qt.KeyboardModifier.ControlModifier


def start(path: str, parts: Sequence[Callable[[], None]]) -> None:
    """Run parts of a scenario over a scene once the window is there; write what was seen."""
    perform("areas", lambda: _run(path, parts))


def _run(path: str, parts: Sequence[Callable[[], None]]) -> None:
    iface.mainWindow().resize(1600, 1000)
    # Without a window manager no window is active, and keys go nowhere.
    QApplication.setActiveWindow(iface.mainWindow())
    iface.addRasterLayer(path, "scene")
    dock().setUserVisible(True)
    QTest.qWait(500)
    iface.mapCanvas().setExtent(scene_layer().extent())
    QTest.qWait(300)
    assert wait_for(lambda: dock().scene is not None)
    for part in parts:
        try:
            take("areas", part.__name__, part)
        except Exception:
            # The other parts tell something too.
            seen.setdefault("errors", []).append(traceback.format_exc())
            shot(f"areas_error_{part.__name__}")


def section() -> Any:
    return dock().areas_section


def scene_layer() -> Any:
    return QgsProject.instance().mapLayersByName("scene")[0]


def layer() -> Any:
    return dock().areas.layer


def place(x: float, y: float) -> QPoint:
    """Point of the canvas over a pixel of the scene."""
    canvas = iface.mapCanvas()
    on_map = canvas.mapSettings().layerToMapCoordinates(scene_layer(), QgsPointXY(*map_of(x, y)))
    return canvas.mapSettings().mapToPixel().transform(on_map).toQPointF().toPoint()


def map_of(x: float, y: float) -> tuple[float, float]:
    return 500000 + 10 * x, 4800000 - 10 * y


def view() -> Any:
    return iface.mapCanvas().viewport()


def move(x: float, y: float) -> None:
    QTest.mouseMove(view(), place(x, y))
    QTest.qWait(30)


def click(x: float, y: float, button: Any = LEFT) -> None:
    move(x, y)
    QTest.mouseClick(view(), button, NONE, place(x, y))
    QTest.qWait(30)


def drag(*points: tuple[float, float]) -> None:
    move(*points[0])
    QTest.mousePress(view(), LEFT, NONE, place(*points[0]))
    for point in points[1:]:
        move(*point)
    QTest.mouseRelease(view(), LEFT, NONE, place(*points[-1]))
    QTest.qWait(60)


def key(code: Any, modifier: Any = NONE) -> None:
    QTest.keyClick(iface.mapCanvas(), code, modifier)
    QTest.qWait(60)


def tool(name: str) -> None:
    action = section().actions_by_shape[name]
    if not action.isChecked():
        action.trigger()
    assert action.isChecked()


def count() -> int:
    return section().list.topLevelItemCount()


def listed(expected: int) -> bool:
    return wait_for(lambda: count() == expected, 10)


def outlines() -> list[str]:
    return [feature.geometry().asWkt(0) for feature in dock().areas.features()]


def numbers() -> dict[str, str]:
    table = section().numbers
    names = ("n", "mean", "std", "cx", "enl", "range", "correlation_x")
    return {name: table.text(name, 1) for name in names}


def select(row: int) -> int:
    view = section().list
    view.setCurrentItem(view.topLevelItem(row))
    QTest.qWait(50)
    return view.current()


def shot(name: str, widget: Any = None) -> None:
    QTest.qWait(300)
    (widget or iface.mainWindow()).grab().save(str(FOLDER / f"{name}.png"))
