"""Settings: how a network is trained, checked."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How a network is trained.

    width, num_filters : size of the network. steps : optimiser steps of ``batch`` crops of ``crop`` px.
    minutes : train by the clock instead, this long in all; 0 for by steps.
    rate : AdamW's learning rate at its peak, after the first twentieth of the training; it falls by a cosine to near 0.
    jaccard : share of the soft Jaccard loss beside BCE.
    smoothing : how far BCE's targets are drawn towards 0.5: label smoothing (Szegedy et al., CVPR 2016), which keeps
        logits small.
    average : decay of the exponential moving average of the weights, which is what is kept.
    scenes, layouts : how many synthetic scenes to draw, and how many over given layouts, where there are any.
    real : share of crops from what is not scenes, where there is any.
    without_mul : how often a crop's MUL bands are set to 0, so that RGB alone works too.
    variety : how far crops are scaled, turned and recoloured, 1 for strong and 0 for flips and quarter turns alone.
    pasted : how often a crop gets buildings of another one, where it has room for them.
    kept : share of the starting weights in the average of them and the trained ones that is returned: stochastic weight
        averaging (Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", UAI 2018).
    """

    width: int = 8
    num_filters: int = 8
    steps: int = 9000
    minutes: float = 0.0
    batch: int = 8
    crop: int = 256
    rate: float = 2e-3
    jaccard: float = 0.3
    smoothing: float = 0.05
    average: float = 0.998
    scenes: int = 240
    layouts: int = 100
    real: float = 0.75
    without_mul: float = 0.5
    variety: float = 0.8
    pasted: float = 0.0
    kept: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if (
            min(self.width, self.num_filters, self.steps, self.batch, self.crop) < 1
            or self.crop % 32
            or min(self.scenes, self.layouts) < 0
        ):
            raise ValueError(
                f"{self}: sizes and steps are 1 or more, crop is a multiple of 32, scenes and layouts 0 or more."
            )
        shares = "jaccard", "smoothing", "average", "real", "without_mul", "variety", "pasted", "kept"
        if not all(0 <= getattr(self, share) <= 1 for share in shares):
            raise ValueError(f"{self}: {', '.join(shares)} are shares from 0 to 1.")
        if self.rate <= 0 or self.minutes < 0:
            raise ValueError(f"{self}: the rate is above 0, minutes are 0 or more.")
