"""Reflectance: how much of the light materials send back, in the eight WorldView-3 bands coastal to NIR2.

Sources, rounded to two decimals:

USGS : Kokaly et al., USGS Spectral Library Version 7, Data Series 1035 (2017), doi:10.3133/ds1035, as convolved to the
    WorldView-3 bands by its authors.
ECO : Meerdink et al., The ECOSTRESS spectral library version 1.0, Remote Sensing of Environment 230 (2019), and within it
    the ASTER library, Baldridge et al., Remote Sensing of Environment 113 (2009); averaged over the bands.
KLUM : Ilehag et al., KLUM: An Urban VNIR and SWIR Spectral Library, Remote Sensing 11(18), 2149 (2019); averaged.
estimate : ours, for want of a published figure; nothing more than plausible.
"""

import numpy as np

REFLECTANCE = {
    # Ground
    "asphalt": (0.06, 0.07, 0.09, 0.10, 0.10, 0.11, 0.12, 0.13),  # USGS, old black road GDS376
    "concrete": (0.21, 0.24, 0.28, 0.31, 0.31, 0.32, 0.32, 0.31),  # USGS, light grey road GDS375
    "paint": (0.37, 0.45, 0.51, 0.54, 0.56, 0.58, 0.60, 0.61),  # ECO, weathered white coating; worn road paint alike
    "soil": (0.10, 0.13, 0.19, 0.24, 0.28, 0.31, 0.35, 0.38),  # estimate: paler than the silty loam of ECO
    "sand": (0.18, 0.24, 0.30, 0.36, 0.38, 0.40, 0.42, 0.42),  # USGS, between Grand Isle beach and Stonewall playa
    "red soil": (0.06, 0.08, 0.12, 0.20, 0.27, 0.31, 0.34, 0.36),  # estimate
    "grass": (0.03, 0.04, 0.08, 0.06, 0.04, 0.25, 0.45, 0.45),  # USGS, lawn GDS91; NIR of blades, by estimate, as turf's
    "dry grass": (0.07, 0.11, 0.16, 0.20, 0.23, 0.27, 0.30, 0.33),  # USGS, golden dry grass GDS480
    "tree": (0.02, 0.03, 0.04, 0.04, 0.03, 0.16, 0.31, 0.32),  # USGS, aspen canopy from the air, YNP-AS-1
    "water": (0.07, 0.07, 0.07, 0.06, 0.05, 0.04, 0.03, 0.02),  # USGS, water with 0.5 g/l of clay
    "pool": (0.29, 0.28, 0.24, 0.12, 0.06, 0.02, 0.01, 0.01),  # estimate: 1.5 m of clear water over a grey floor
    "turf": (0.04, 0.04, 0.07, 0.05, 0.04, 0.05, 0.08, 0.09),  # estimate: below 0.10, as Devitt et al. (2007) measured
    "green court": (0.06, 0.07, 0.12, 0.09, 0.08, 0.09, 0.20, 0.22),  # estimate
    "blue court": (0.18, 0.18, 0.12, 0.07, 0.07, 0.10, 0.22, 0.24),  # estimate
    "red court": (0.05, 0.05, 0.06, 0.15, 0.21, 0.25, 0.26, 0.27),  # estimate
    # Roofs
    "clay tile": (0.06, 0.07, 0.10, 0.23, 0.29, 0.35, 0.32, 0.31),  # between KLUM, new tile D302, and USGS, brick GDS353
    "tan tile": (0.12, 0.15, 0.21, 0.27, 0.31, 0.34, 0.37, 0.39),  # estimate
    "grey shingle": (0.09, 0.09, 0.10, 0.10, 0.10, 0.10, 0.10, 0.10),  # USGS, asphalt shingle GDS367
    "brown shingle": (0.06, 0.07, 0.10, 0.14, 0.15, 0.14, 0.14, 0.14),  # USGS, asphalt shingle GDS366
    "slate": (0.15, 0.16, 0.17, 0.18, 0.18, 0.19, 0.19, 0.19),  # ECO, weathered slate shingle
    "zinc": (0.29, 0.28, 0.26, 0.25, 0.23, 0.22, 0.19, 0.16),  # ECO, oxidised galvanised steel
    "gravel": (0.16, 0.19, 0.22, 0.24, 0.25, 0.26, 0.27, 0.28),  # estimate
    "membrane": (0.37, 0.45, 0.51, 0.54, 0.56, 0.58, 0.60, 0.61),  # ECO, weathered white roof coating
    "metal": (0.43, 0.48, 0.52, 0.52, 0.51, 0.50, 0.47, 0.44),  # USGS, painted aluminium GDS333
    "rust": (0.05, 0.06, 0.08, 0.12, 0.15, 0.17, 0.17, 0.16),  # USGS, rusted tin GDS378
    "mud": (0.12, 0.16, 0.22, 0.27, 0.31, 0.34, 0.37, 0.39),  # estimate
    "solar panel": (0.05, 0.05, 0.04, 0.04, 0.04, 0.04, 0.04, 0.05),  # estimate
}


def mix(first: str, second: str, part: float) -> np.ndarray:
    """Return (8,) reflectance between two materials; ``part`` of the second."""
    return (1 - part) * np.asarray(REFLECTANCE[first]) + part * np.asarray(REFLECTANCE[second])
