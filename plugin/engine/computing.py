"""Models kept hot, and tiles computed whatever memory there is. Worker side."""

from __future__ import annotations

import gc
import re
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from ..core.errors import EngineError
from ..core.models.base import Despeckler
from ..core.models.card import ModelCard
from ..core.models.weights import load_model
from ..core.tiling import Tile, Window, plan_tiles
from .devices import choose_device, choose_precision, cpu_has_bf16
from .protocol import DeviceInfo

MODELS_KEPT = 3

# Below this the halo costs far more than the core; the CPU is the better place.
SMALLEST_CORE = 32

# Side of the tile that tells how much memory a pixel takes, and how many tensors as large as the
# largest are alive at a time: input, output, and what kernels make of both for themselves.
_PROBE = 64
_ALIVE = 4
# Bytes a pixel takes besides, while its tile is made ready and put away.
_AROUND = 64

_OUT_OF_MEMORY = re.compile(
    r"out of memory|can't allocate memory|not enough memory|_ALLOC_FAILED"
    # Of oneDNN, which does not say why.
    r"|could not create a (?:primitive|memory)",
    re.IGNORECASE,
)

# (path, time of change, size, device, precision): fine-tuned weights may be written anew.
Key = tuple  # of the above


@dataclass(frozen=True)
class LoadedModel:
    """A model on its device, as the client knows it."""

    handle: int
    card: ModelCard
    device: str
    precision: str
    reason: str


@dataclass(frozen=True)
class TileTask:
    """A tile to compute.

    Attributes
    ----------
    intensity, valid : ndarray
        (height, width) float32 and bool.
    inner : Window
        The pixels wanted, counted from the upper left of `intensity`.
    scale, looks : float
        Frozen scene scale, and looks of the speckle.
    knob : float or None
        Looks the affine map is evaluated for.
    results : dict
        Arrays (inner.height, inner.width) float32 to fill, by name.
    ensemble : bool
        Mean over the 8 flips and rotations.
    stages : int
        Of networks that have them; 0 for all.
    maps : dict
        (height, width) float32 by name, more arguments of `core.despeckling.despeckle_tile`.
    """

    intensity: np.ndarray
    valid: np.ndarray
    inner: Window
    scale: float
    looks: float
    knob: float | None
    results: dict[str, np.ndarray]
    ensemble: bool = False
    stages: int = 0
    maps: dict[str, np.ndarray] = field(default_factory=dict)


class Models:
    """The few models used last, each on its device.

    Parameters
    ----------
    devices : list of DeviceInfo
        Devices found.
    """

    def __init__(self, devices: list[DeviceInfo]) -> None:
        self._devices = devices
        self._hot: OrderedDict[Key, Despeckler] = OrderedDict()
        self._handles: dict[Key, int] = {}
        self._keys: dict[int, Key] = {}

    def load(self, path: Path, device: str, precision: str) -> LoadedModel:
        """Put a model on a device; at once if it is there already.

        Raises
        ------
        ModelError
            When the file is no model, or its weights are damaged.
        InvalidInput
            When there is no such device or precision.
        """
        card = ModelCard.read(path)
        name, device_reason = choose_device(device, self._devices)
        resolved, precision_reason = choose_precision(precision, name, card)
        key = _key(path, name, resolved)
        try:
            self._get(key)
        except RuntimeError as error:
            if not is_out_of_memory(error) or name == "cpu":
                raise
            if device.strip().lower() != "auto":
                raise EngineError(
                    f"{name} has no memory left for the model. Choose device cpu, or end other "
                    "programs that use the GPU."
                ) from error
            name, device_reason = "cpu", f"chosen because {name} has no memory left"
            resolved, precision_reason = choose_precision("auto", name, card)
            key = _key(path, name, resolved)
            self._get(key)
        handle = self._handles.setdefault(key, len(self._handles) + 1)
        self._keys[handle] = key
        reason = f"device {name}: {device_reason}; precision {resolved}: {precision_reason}"
        return LoadedModel(handle, card, name, resolved, reason)

    def get(self, handle: int) -> tuple[Despeckler, str, str]:
        """Return a model, its device and its precision; loads it again if it had to give way."""
        key = self._keys[handle]
        return self._get(key), key[3], key[4]

    def get_on_cpu(self, handle: int) -> tuple[Despeckler, str, str]:
        """Return the model on the CPU, in a precision the CPU is good at."""
        path, changed, size, _, precision = self._keys[handle]
        resolved = "bf16" if precision == "bf16" and cpu_has_bf16() else "fp32"
        return self._get((path, changed, size, "cpu", resolved)), "cpu", resolved

    def _get(self, key: Key) -> Despeckler:
        if key in self._hot:
            self._hot.move_to_end(key)
            return self._hot[key]
        while len(self._hot) >= MODELS_KEPT:
            self._hot.popitem(last=False)
        model = load_model(key[0]).to(key[3])
        self._hot[key] = model
        return model


class TileComputer:
    """Computes tiles; where memory does not suffice, in parts, at last on the CPU.

    Parameters
    ----------
    models : Models
        Where models come from.
    despeckle : callable, optional
        In place of `core.despeckling.despeckle_tile`.
    room : int
        Bytes of main memory that a tile on the CPU may take, about; 0 for no bound.
    """

    def __init__(
        self, models: Models, despeckle: Callable[..., Any] | None = None, room: int = 0
    ) -> None:
        if despeckle is None:
            from ..core.despeckling import despeckle_tile

            despeckle = despeckle_tile
        self._models = models
        self._despeckle = despeckle
        self._room = room
        self._bytes: dict[int, float] = {}  # by handle: a pixel's on the CPU
        # By handle: the largest core that fits, and whether the CPU has to do it.
        self._plans: dict[int, tuple[int, bool]] = {}
        self._operations: dict[tuple, int] = {}

    def retry_full_tiles(self, handle: int) -> None:
        """Try full tiles again: memory may be free by now."""
        self._plans.pop(handle, None)

    def release_memory(self) -> None:
        """Give back the device memory kept for speed."""
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()

    def compute(
        self, handle: int, task: TileTask, watch: Callable[[float], None]
    ) -> tuple[list[str], list[str]]:
        """Fill the task's results.

        Parameters
        ----------
        handle : int
            Of a loaded model.
        task : TileTask
            What to compute.
        watch : callable
            Called with the fraction done before every operation of the network; may raise.

        Returns
        -------
        names, warnings : list of str
            Results that were filled, and what the user should hear.

        Raises
        ------
        EngineError
            When even the CPU has not enough memory.
        """
        warnings: list[str] = []
        full = max(task.inner.width, task.inner.height)
        if self._room:
            self._fit(handle, task, full, warnings)
        while True:
            limit, on_cpu = self._plans.get(handle, (full, False))
            size = min(limit, full)
            place = self._models.get_on_cpu(handle) if on_cpu else self._models.get(handle)
            names = self._attempt(handle, place, task, size, watch)
            if names is not None:
                return names, warnings
            device = place[1]
            del place
            self.release_memory()
            height, width = task.intensity.shape
            problem = f"{device} has not enough memory for a tile of {width} x {height} pixels"
            half = -(-size // 2)
            if half >= SMALLEST_CORE:
                self._plans[handle] = (half, on_cpu)
                warnings.append(f"{problem}: computing in parts of {half} x {half}.")
            elif device != "cpu":
                self._plans[handle] = (sys.maxsize, True)
                warnings.append(f"{problem}: computing on the CPU, which is slower.")
            else:
                raise EngineError(f"{problem}. Choose a smaller tile size.")

    def _fit(self, handle: int, task: TileTask, full: int, warnings: list[str]) -> None:
        """Plan parts of a tile that keep to the room there is."""
        limit, on_cpu = self._plans.get(handle, (full, False))
        model, device, precision = (
            self._models.get_on_cpu(handle) if on_cpu else self._models.get(handle)
        )
        if device != "cpu":
            return  # torch itself keeps to the bound there
        if handle not in self._bytes:
            side = min(_PROBE, *task.intensity.shape)
            counter = OperationCounter(0, 0, 1, lambda _: None)
            with torch.inference_mode(), counter:
                self._despeckle(
                    model,
                    task.intensity[:side, :side],
                    task.valid[:side, :side],
                    scale=task.scale,
                    looks=task.looks,
                    knob=task.knob,
                    inner=Window(0, 0, side, side),
                    device=device,
                    precision=precision,
                )
            self._bytes[handle] = _AROUND + _ALIVE * counter.largest / side**2
        side = int((self._room / self._bytes[handle]) ** 0.5) - 2 * model.card.halo
        size = max(side, SMALLEST_CORE)
        if size < min(limit, full):
            self._plans[handle] = (size, on_cpu)
            warnings.append(
                f"The memory limit of the options holds no tile of {full} x {full} pixels: "
                f"computing in parts of {size} x {size}."
            )

    def _attempt(
        self,
        handle: int,
        place: tuple[Despeckler, str, str],
        task: TileTask,
        size: int,
        watch: Callable[[float], None],
    ) -> list[str] | None:
        """Compute in cores of at most `size` pixels; None where memory ran out."""
        model, device, precision = place
        names: list[str] = []
        tiles = _parts(task, size, model.card)
        for index, tile in enumerate(tiles):
            rows, columns = _slices(tile.source)
            shape = task.intensity[rows, columns].shape
            known = (handle, task.ensemble, task.stages, tuple(task.results), shape)
            maps = {name: values[rows, columns] for name, values in task.maps.items()}
            counter = OperationCounter(self._operations.get(known, 0), index, len(tiles), watch)
            try:
                with torch.inference_mode(), counter:
                    arrays = self._despeckle(
                        model,
                        task.intensity[rows, columns],
                        task.valid[rows, columns],
                        scale=task.scale,
                        looks=task.looks,
                        knob=task.knob,
                        ensemble=task.ensemble,
                        extra=[name for name in task.results if name in model.card.maps],
                        stages=task.stages,
                        inner=tile.inner,
                        device=device,
                        precision=precision,
                        **maps,
                    )
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                return None
            self._operations[known] = counter.count
            rows, columns = _slices(tile.core.shifted(-task.inner.x, -task.inner.y))
            names = [name for name in task.results if name in arrays]
            for name in names:
                task.results[name][rows, columns] = arrays[name]
        return names


class OperationCounter(TorchFunctionMode):
    """Sees every call of torch: the place to cancel, whatever a network is made of.

    Hooks on modules would miss networks that compute many steps in one `forward`.
    """

    def __init__(
        self, expected: int, index: int, parts: int, watch: Callable[[float], None]
    ) -> None:
        super().__init__()
        self.count = 0
        self.largest = 0  # bytes of the largest tensor a call has given
        self._expected = expected
        self._index = index
        self._parts = parts
        self._watch = watch

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        done = min(self.count / self._expected, 1.0) if self._expected else 0.0
        self._watch((self._index + done) / self._parts)
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.largest = max(self.largest, result.numel() * result.element_size())
        return result


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that memory ran out; torch says it in several ways."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and bool(_OUT_OF_MEMORY.search(str(error)))


def has_broken_device(error: BaseException) -> bool:
    """Tell whether an error leaves the GPU unusable for the rest of the process."""
    return isinstance(error, RuntimeError) and "CUDA error" in str(error)


def _parts(task: TileTask, size: int, card: ModelCard) -> list[Tile]:
    """Cut a tile into tiles, in its own coordinates, each with the halo the network needs."""
    height, width = task.intensity.shape
    whole = Window(0, 0, width, height)
    if size >= max(task.inner.width, task.inner.height):
        return [Tile(task.inner, whole)]
    return plan_tiles(whole, task.inner, size, card.halo, card.divisor)


def _slices(window: Window) -> tuple[slice, slice]:
    return slice(window.y, window.bottom), slice(window.x, window.right)


def _key(path: Path, device: str, precision: str) -> Key:
    status = path.stat()
    return (str(path), status.st_mtime_ns, status.st_size, device, precision)
