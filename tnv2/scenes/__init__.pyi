from .layouts import render_layout as render_layout
from .districts import STYLES as STYLES
from .scenes import render_scene as render_scene, write_samples as write_samples
