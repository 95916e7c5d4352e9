from .loop import crops_of as crops_of, train as train
from .settings import Settings as Settings
from .targets import border_target as border_target, segmentation_loss as segmentation_loss
