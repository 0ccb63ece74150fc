"""Figure 3b of the paper: DoPAMINE with the scale add, against plain additions with batch
normalisation after each ("Add + BN"), and against plain additions alone ("Add"), which the paper
says were too bad to show.

All are trained from the same seed on the same patches with the same noise. A short training on
few images shows the order, not the paper's figures, which took 90 750 steps of 64 patches.
"""

from __future__ import annotations

from ...plugin.core.models.dopamine import Dopamine
from .ablation import compare
from .networks import AddDopamine

VARIANTS = {
    "SA": (Dopamine, {}),
    "Add + BN": (AddDopamine, {"normalise": True}),
    "Add": (AddDopamine, {"normalise": False}),
}


def main(arguments: list[str]) -> int:
    """Train the three, print and draw their PSNR on the test images."""
    return compare("figure3b", __doc__, VARIANTS, arguments)
