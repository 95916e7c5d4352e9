"""Checkup: would the first lesson run here, and if not, what is to be done about it?"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
