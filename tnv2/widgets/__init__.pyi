from .bands import BandViewer as BandViewer
from .handouts import (
    MODULE as MODULE, WORKER as WORKER, closed as closed, filled as filled
)  # fmt: skip
from .heatmap import SweepMap as SweepMap
from .tuner import ThresholdTuner as ThresholdTuner
from .views import joined as joined, source as source
