"""``./run bench NAME``: performance and quality figures, one module a benchmark."""

from __future__ import annotations

import importlib
import sys

from ..plugin.core.errors import SpecklessError

BENCHMARKS = {
    "inference": "DoPAMINE's inference against the matrix-product rate, fp32 and bf16",
    "training": "training throughput against the matrix-product rate",
    "classes": "class-aware despeckling, by raster and by classifier, against class-agnostic",
    "generalisation": "bias-free networks and others outside the looks they were trained on",
    "losses": "losses compared on speckle: the small FFDNet trained with each",
    "assessment": "figures of an assessment where the answer is known: edges, structure, targets",
    "memory": "a 20 000 x 20 000 raster through a light model or a filter: peak memory",
    "area": "statistics of homogeneous areas: does the ENL's interval hold the truth; time",
    "startup": "qgis_process: start of speckless:despeckle against a native algorithm",
    "finetuning": "cost of fine-tuning against a forward pass, and of its depths, by ratio",
    "knob": "the instant knob: its time, and how near it comes to tuning at its L",
    "nn3d": "what a non-local filter in turn with an FFDNet gains (K = 1, 2)",
    "paper": "the tables and figures of the DoPAMINE paper (a command each)",
    "window": "the sample despeckled in a real QGIS window under Xvfb: pictures of it",
    "risk": "the estimated risk: how often its interval holds, the knob it chooses",
    "looks": "the number of looks found against the true one, white and correlated speckle",
    "knoblevel": "the level a network keeps when it is told fewer looks: the table in its card",
    "stack": "the instant knob by interpolation against the network run at each L",
    "cures": "correlated speckle on the five-date scenes: what knob and fine-tuning bring",
    "models": "all models on images: PSNR, SSIM, time, memory; the papers' rows",
    "modeldates": "all models on real five-date scenes, before and after their own tuning",
    "modelpage": "docs/models.md from the cards of the models",
    "storage": "a weights file in half precision or eight bits, if its PSNR does not move",
    "peers": "the classical filters against OTB and SAGA in one run: speed, memory, agreement",
    "ablation": "deSpeckNet: phase 1, phase 2 and both (its Table VI)",
    "transfer": "AINDNet: all weights or a part of them learning from real pairs (RT, TF)",
    "stages": "ScaoedNet over its number of stages: quality, noise map, time",
    "multidate": "real five-date scenes: one date despeckled against the mean of the others",
}


def main(arguments: list[str]) -> int:
    """Run one benchmark by name with the rest of the arguments."""
    if not arguments or arguments[0] not in BENCHMARKS:
        for name, text in BENCHMARKS.items():
            sys.stdout.write(f"  ./run bench {name:14} {text}\n")
        return 0 if arguments in ([], ["--help"]) else 2
    module = importlib.import_module(f".{arguments[0]}", __package__)
    try:
        return module.main(arguments[1:])
    except SpecklessError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Stopped. With the same --store, where there is one, it goes on.\n")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
