from .folded import folded as folded
