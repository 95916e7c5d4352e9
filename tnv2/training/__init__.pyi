from .calibration import calibrated as calibrated
from .choosing import scores as scores
from .examples import Example as Example, Source as Source, example as example
from .loop import crops_of as crops_of, train as train
from .manifest import Picture as Picture, read_manifest as read_manifest, set_aside as set_aside
from .settings import Settings as Settings
from .targets import border_target as border_target, segmentation_loss as segmentation_loss
from .widening import joined as joined
