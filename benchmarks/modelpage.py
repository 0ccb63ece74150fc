"""docs/models.md from the cards of the shipped models: what each is, costs and is good for.

The page is the cards' and nothing else's: figures that a card lacks are left out. Write them
into the cards by ``./run bench models --cards`` first.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..plugin.core.models.card import ModelCard
from ..plugin.core.models.registry import DEFAULT_MODEL, WEIGHTS_FOLDER
from ..plugin.core.models.weights import load_model

PAGE = Path(__file__).resolve().parents[1] / "docs" / "models.md"

# When to take a network, by architecture, and if need be by whether it is made for radar.
USES = {
    ("ffdnet", True): "Real SAR, correlated speckle or not; fast on a CPU. The knob is native: it "
    "reads the number of looks.",
    ("ffdnet", False): "Photographs with white speckle, or as a fast start for own training.",
    ("dopamine", True): "Real SAR with speckle independent between pixels; where the estimated "
    "error, its maps a and b, or fine-tuning on the image itself are wanted.",
    ("dopamine", False): "The paper's setting: white speckle on gray images. For real SAR only "
    "after fine-tuning on the image.",
    ("dncnn", True): "A plain residual network to compare with.",
    ("dncnn", False): "A plain residual network to compare with.",
    ("sarcnn", True): "A published log-domain baseline to compare with.",
    ("sarcnn", False): "A published log-domain baseline to compare with.",
    ("sardrn", True): "A published baseline of dilated convolutions, small and fast.",
    ("sardrn", False): "A published baseline of dilated convolutions, small and fast; the row the "
    "DoPAMINE paper compares with.",
    ("idcnn", True): "A published baseline that divides by the estimated speckle.",
    ("idcnn", False): "A published baseline that divides by the estimated speckle.",
    ("cbdnet", True): "Where the number of looks is not known or varies: it estimates it.",
    ("cbdnet", False): "Where the noise level is not known: it estimates it.",
    ("despecknet", True): "Where the estimated speckle itself is wanted.",
    ("despecknet", False): "Where the estimated speckle itself is wanted.",
    ("aindnet", True): "Speckle whose strength varies over the image: it maps it.",
    ("aindnet", False): "Noise whose strength varies over the image: it maps it.",
    ("nn3d", True): "What repeats over the scene, where time does not matter.",
    ("nn3d", False): "What repeats over the image, where time does not matter.",
    ("classaware", True): "Scenes of a few distinct kinds of land cover, one expert for each.",
    ("classaware", False): "Images of a few distinct kinds, one expert for each.",
    ("scaoednet", True): "Quality against time at will: its stages can be chosen.",
    ("scaoednet", False): "Quality against time at will: its stages can be chosen.",
}

_SIDE = 16


def main(arguments: list[str]) -> int:
    """Write the page, or tell whether it is up to date."""
    parser = argparse.ArgumentParser(
        prog="./run bench modelpage",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="only compare; 1 if it is not")
    options = parser.parse_args(arguments)
    text = page(WEIGHTS_FOLDER)
    if options.check:
        same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        sys.stdout.write("up to date\n" if same else "docs/models.md is not up to date\n")
        return 0 if same else 1
    PAGE.write_text(text, encoding="utf-8", newline="\n")
    sys.stdout.write(f"{PAGE}\n")
    return 0


def page(folder: Path) -> str:
    """The page of all weights files of a folder."""
    paths = sorted(folder.glob("*.safetensors"))
    cards = {path: ModelCard.read(path) for path in paths}
    order = sorted(
        paths,
        key=lambda path: (
            cards[path].id != DEFAULT_MODEL,
            not cards[path].for_radar,
            cards[path].id,
        ),
    )
    total = sum(path.stat().st_size for path in paths)
    lines = [
        "# Models",
        "",
        "Made from the models' cards by `./run bench modelpage`; do not edit it by hand.",
        "",
        f"{len(paths)} models are shipped, {total / 1e6:.2f} MB together. The default is "
        f"`{DEFAULT_MODEL}`. Models trained by you (`speckless:train`) or tuned on an image "
        "(`speckless:finetune`) are files of the same kind and appear in the same lists.",
        "",
        "## At a glance",
        "",
        "| model | network | parameters | file (MB) | receptive field (px) | operations per pixel "
        "| looks | reads L | maps a, b | made for |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    operations = {path: operations_per_pixel(path) for path in paths}
    lines += [_row(cards[path], path, operations[path]) for path in order]
    lines += [
        "",
        "Operations are multiplications and additions, each counted, of the convolutions and "
        "matrix products, without halos. The receptive field is the square that an output pixel "
        "depends on.",
        "",
        "## Which to take",
        "",
    ]
    lines += [f"- **`{cards[path].id}`**: {use(cards[path])}" for path in order]
    lines += _recommended({cards[path].id: (cards[path], operations[path]) for path in paths})
    lines += _quality(order, cards)
    for path in order:
        lines += _details(cards[path])
    return "\n".join(lines) + "\n"


def _recommended(models: dict[str, tuple[ModelCard, int]]) -> list[str]:
    """Why the default is the default, as far as the cards tell."""
    if DEFAULT_MODEL not in models:
        return []
    mine = models[DEFAULT_MODEL][1]
    others = {
        name: cost for name, (card, cost) in models.items()
        if card.for_radar and name != DEFAULT_MODEL
    }  # fmt: skip
    if not others or mine >= min(others.values()):
        return []
    name = min(others, key=lambda one: others[one])
    return [
        "",
        f"The default on CPU and GPU alike is `{DEFAULT_MODEL}`: of the models made for radar "
        f"images it needs the fewest operations, {_millions(mine)} a pixel (the next, `{name}`: "
        f"{_millions(others[name])}). How they compare on real scenes is in "
        "[measurements.md](measurements.md).",
    ]


def use(card: ModelCard) -> str:
    """When to take a model."""
    said = USES.get((card.architecture, card.for_radar), card.description)
    low, high = card.looks_range
    if low == high:
        said += f" For {low:g} look{'s' if low != 1 else ''} only."
    return said


def operations_per_pixel(path: Path) -> int:
    """Multiplications and additions of a pixel, halos aside."""
    model = load_model(path)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(torch.ones(1, 1, _SIDE, _SIDE), torch.ones(1))
    return round(counter.get_total_flops() / _SIDE**2)


def _row(card: ModelCard, path: Path, operations: int) -> str:
    low, high = card.looks_range
    cells = [
        f"`{card.id}`",
        f"{card.architecture} {_arguments(card)}".strip(),
        f"{card.parameters:,}".replace(",", " "),
        f"{path.stat().st_size / 1e6:.2f}",
        f"{2 * card.radius + 1} × {2 * card.radius + 1}",
        _millions(operations),
        f"{low:g}" if low == high else f"{low:g}–{high:g}",
        "no" if card.blind else "yes",
        "yes" if card.affine else "no",
        "radar images" if card.for_radar else "gray images, white speckle",
    ]
    return f"| {' | '.join(cells)} |"


def _millions(count: int) -> str:
    return f"{count / 1e6:.3g} million"


def _arguments(card: ModelCard) -> str:
    return _in_words(card.arguments)


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_in_words(own)}" for name, own in sorted(value.items()))
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def _quality(order: list[Path], cards: dict[Path, ModelCard]) -> list[str]:
    """Measured figures, for the models whose cards have them."""
    measured = {path: cards[path].quality.get("measured") for path in order}
    levels = sorted(
        {key for found in measured.values() if found for key in found if key.startswith("L=")},
        key=lambda key: float(key[2:]),
    )
    lines = ["", "## Measured", ""]
    known = [path for path in order if measured[path]]
    if not known:
        return [*lines, "No card has figures of `./run bench models` yet."]
    first: dict[str, Any] = measured[known[0]] or {}
    lines += [
        f"Protocol: {first['protocol']}. By `./run bench models`; PSNR in dB ± standard error / "
        "SSIM, (N) images. Models made for radar images are not made for these.",
        "",
        f"| model | {' | '.join(levels)} | s per megapixel | peak memory (MB) | on |",
        f"|---|{'---|' * (len(levels) + 3)}",
    ]
    for path in known:
        found = measured[path] or {}
        cells = [f"`{cards[path].id}`"]
        for level in levels:
            one = found.get(level)
            error = f" ± {one['psnr_error']:.2f}" if one and one["psnr_error"] is not None else ""
            cells.append(
                f"{one['psnr']:.2f}{error} / {one['ssim']:.3f} ({one['images']})" if one else ""
            )
        cost = found.get("cost") or {}
        cells += [
            f"{cost['seconds_per_megapixel']:.2f}" if cost else "",
            str(cost.get("peak_megabytes", "")),
            f"{cost['device']}, {cost['threads']} threads, {cost['precision']}" if cost else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _details(card: ModelCard) -> list[str]:
    training = card.training
    lines = ["", f"## `{card.id}`: {card.title}", "", card.description, ""]
    rows: list[tuple[str, object]] = [("cite", card.citation), ("started from", card.parent)]
    figures = card.quality.get("validation", {})
    if figures:
        text = ", ".join(f"{name} {value:g}" for name, value in figures.items())
        rows.append(("held-out figures", f"{text} ({card.quality['validation_images']} images)"))
    if training:
        images, steps = training.get("images"), training.get("steps")
        batch = training.get("recipe", {}).get("batch")
        rows.append(("trained on", f"{images} images, {steps} steps of {batch} patches"))
    rows.append(("licence", card.licence))
    rows.append(("SHA-256 of the weights", f"`{card.tensors_sha256}`"))
    return lines + [f"- {name}: {value}" for name, value in rows if value]
