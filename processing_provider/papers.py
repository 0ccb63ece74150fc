"""Papers that several algorithms cite."""

from __future__ import annotations

AINDNET = (
    "Kim, Y., Soh, J. W., Park, G. Y., Cho, N. I. (2020). Transfer learning from synthetic "
    "to real-noise denoising with adaptive instance normalization. CVPR."
)
DESPECKNET = (
    "Mullissa, A., Marcos, D., Tuia, D., Herold, M., Reiche, J. (2020). deSpeckNet: "
    "Generalizing deep learning based SAR image despeckling. IEEE Transactions on "
    "Geoscience and Remote Sensing. doi:10.1109/TGRS.2020.3042694"
)
DOPAMINE = (
    "Joo, S., Cha, S., Moon, T. (2019). DoPAMINE: Double-sided masked CNN for pixel "
    "adaptive multiplicative noise despeckling. AAAI 33, 4031-4038. "
    "doi:10.1609/aaai.v33i01.33014031"
)
ENHANCED = (
    "Lopes, A., Touzi, R., Nezry, E. (1990). Adaptive speckle filters and scene "
    "heterogeneity. IEEE Transactions on Geoscience and Remote Sensing 28(6), 992-1000. "
    "doi:10.1109/36.62623"
)
