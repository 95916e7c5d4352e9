"""Kernels with less to do in a lesson's first minute. For ~/.ipython/profile_default/."""

import gc

c = get_config()  # noqa: F821

gc.set_threshold(50_000, 20, 50)  # this file runs in the kernel; large packages make many objects and hardly any garbage
c.InlineBackend.print_figure_kwargs = {
    "bbox_inches": "tight",
    "pil_kwargs": {"compress_level": 1},  # a tenth to a third of what a figure takes, for 7 to 30 % more bytes
}
# After a cell matplotlib draws its new figures, and then the notebook's backend draws them again to show them. Shown
# first, they are closed by then.
c.InteractiveShellApp.exec_lines = [
    """
def _show_figures():
    import sys
    if backend := sys.modules.get("matplotlib_inline.backend_inline"):
        backend.flush_figures()
get_ipython().events.register("post_execute", _show_figures)
"""
]
