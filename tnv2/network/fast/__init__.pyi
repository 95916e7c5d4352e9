from .folded import affine as affine, capabilities as capabilities, folded as folded
