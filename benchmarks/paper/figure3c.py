"""Figure 3c of the paper: DoPAMINE with 0 and with 5 residual blocks.

Both are trained from the same seed on the same patches with the same noise; the paper's figures
took 90 750 steps of 64 patches.
"""

from __future__ import annotations

from ...plugin.core.models.dopamine import Dopamine
from .ablation import compare

VARIANTS = {
    "0 blocks": (Dopamine, {"blocks": 0}),
    "5 blocks": (Dopamine, {"blocks": 5}),
}


def main(arguments: list[str]) -> int:
    """Train the two, print and draw their PSNR on the test images."""
    return compare("figure3c", __doc__, VARIANTS, arguments)
