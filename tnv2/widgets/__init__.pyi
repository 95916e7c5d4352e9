from .bands import BandViewer as BandViewer
from .heatmap import SweepMap as SweepMap
from .tuner import ThresholdTuner as ThresholdTuner
