from .folded import capabilities as capabilities, folded as folded
