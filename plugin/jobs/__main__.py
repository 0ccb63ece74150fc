"""Command line of the jobs that need no QGIS: ``train`` and ``evaluate``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import InvalidInput, SpecklessError
from ..core.recipe import Recipe
from .evaluation import EvaluateJob
from .training import TrainJob

_UNITS = {"s": 1, "m": 60, "h": 3600}


def _seconds(text: str) -> float:
    try:
        return float(text[:-1]) * _UNITS[text[-1]]
    except (KeyError, ValueError, IndexError):
        raise argparse.ArgumentTypeError(f"'{text}' is no time; write 45m or 2h.") from None


def _numbers(text: str) -> list[float]:
    try:
        return [float(value) for value in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of numbers; write 1,2,4.") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train a recipe into a weights file")
    train.add_argument("recipe", help="TOML file")
    train.add_argument("--images", default="", help="folder of clean images")
    train.add_argument("--noisy", nargs="+", default=[], help="noisy rasters, or one folder")
    train.add_argument(
        "--references", nargs="+", default=[],
        help="a reference raster for each, or one for all; or one folder, matched by name",
    )  # fmt: skip
    train.add_argument("--domain", default="auto", help="of rasters: intensity, amplitude, db …")
    train.add_argument("--looks", type=float, help="of the noisy rasters (default: estimated)")
    train.add_argument("--held-out", type=float, default=0.0, metavar="SHARE", help="of the data")
    train.add_argument("--report", default="", help="HTML file to write")
    train.add_argument("--list", help="file naming the images to train on")
    train.add_argument("--validation-list", help="file naming held-out images")
    train.add_argument("--output", help="weights file (default: training/<id>.safetensors)")
    train.add_argument("--checkpoint", help="file to resume from (default: beside the output)")
    train.add_argument("--budget", type=_seconds, default=0.0, help="shorten to 45m, 2h, …")
    train.add_argument("--steps", type=int, default=0, help="length of the schedule in steps")
    train.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="changes",
        help="change a recipe entry, e.g. batch=16 or arguments.head='\"linear\"'",
    )  # fmt: skip
    train.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 …")
    train.add_argument("--precision", default="auto", help="bf16 (auto) or fp32")
    train.add_argument(
        "--half", nargs="?", default="no", const="yes", choices=["no", "yes", "auto"],
        help="store half-precision weights; auto: where held-out figures do not move",
    )  # fmt: skip
    train.add_argument("--threads", type=int, default=0, help="CPU threads (default: all)")
    evaluate = commands.add_parser("evaluate", help="PSNR and SSIM on a folder of clean images")
    evaluate.add_argument("--model", required=True, help="id, weights file, or 'noisy'")
    evaluate.add_argument("--looks", type=_numbers, default=[1, 2, 4, 8], help="1,2,4,8")
    evaluate.add_argument("--images", required=True, help="folder of clean images")
    evaluate.add_argument("--list", help="file naming the images to use")
    evaluate.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    evaluate.add_argument("--device", default="cpu")
    evaluate.add_argument("--seed", type=int, default=0)
    return parser


def read_recipe(path: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe's TOML file; ``changes`` are more lines of TOML, each "key = value".

    Raises
    ------
    InvalidInput
        When it cannot be read or holds something unknown.
    """
    import tomllib

    try:
        with open(path, "rb") as file:
            values = tomllib.load(file)
        for line in changes:
            for key, value in tomllib.loads(line).items():
                nested = isinstance(value, dict)
                values[key] = {**values.get(key, {}), **value} if nested else value
        return Recipe.from_mapping(values)
    except OSError as error:
        raise InvalidInput(f"The recipe {path} cannot be read: {error.strerror}.") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"The recipe {path} or a change to it is not TOML: {error}.") from error


def _train(options: argparse.Namespace) -> None:
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    recipe = read_recipe(options.recipe, options.changes)
    output = Path(options.output or f"training/{recipe.id}.safetensors")
    output.parent.mkdir(parents=True, exist_ok=True)
    folders = [
        values[0] if len(values) == 1 and Path(values[0]).is_dir() else ""
        for values in (options.noisy, options.references)
    ]
    job = TrainJob(
        recipe,
        images=options.images,
        output=str(output),
        checkpoint=options.checkpoint or str(output.with_suffix(".checkpoint")),
        train_list=options.list,
        validation_list=options.validation_list,
        steps=options.steps,
        budget_seconds=options.budget,
        device=options.device,
        precision=options.precision,
        half=options.half,
        noisy=[] if folders[0] else options.noisy,
        references=[] if folders[1] else options.references,
        noisy_folder=folders[0],
        reference_folder=folders[1],
        domain=options.domain,
        looks=options.looks,
        validation_share=options.held_out,
        report=options.report,
    )
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: stopped.append(received))
    card = job.run(_tell, lambda: bool(stopped))
    _say(f"{output}  {card.parameters} parameters  {card.quality}")


def _evaluate(options: argparse.Namespace) -> None:
    job = EvaluateJob(
        options.images, options.model, options.looks, options.list, options.precision,
        options.device, options.seed,
    )  # fmt: skip
    for row in job.run(lambda part, text: None, lambda: False):
        _say(str(row))


def _tell(part: float, text: str) -> None:
    if text:
        _say(f"{part:6.1%}  {text}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Run a command; errors a user can act on come as one line."""
    options = _parser().parse_args(arguments)
    try:
        {"train": _train, "evaluate": _evaluate}[options.command](options)
    except SpecklessError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
