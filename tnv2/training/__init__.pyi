from .loop import Settings as Settings, crops_of as crops_of, train as train
from .targets import border_target as border_target, segmentation_loss as segmentation_loss
