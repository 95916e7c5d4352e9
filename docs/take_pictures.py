"""Take the README's pictures from a real run: python docs/take_pictures.py"""

import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "tests"))

from lab import chromium, jupyterlab, run_notebook  # noqa: E402


def main():
    """Run the first notebook in JupyterLab and photograph the tuner."""
    with tempfile.TemporaryDirectory() as folder, jupyterlab(Path(folder)) as address, chromium() as browser:
        page = browser.new_page(viewport={"width": 1170, "height": 940})
        run_notebook(page, address, "00_start_here.ipynb", finished=".tnv2-tuner canvas")
        page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
        page.wait_for_timeout(1500)
        page.locator("select[data-name=show]").select_option("instances")
        tuner = page.locator(".tnv2-tuner")
        tuner.scroll_into_view_if_needed()
        page.wait_for_timeout(500)
        tuner.screenshot(path=DOCS / "tuner.png")


if __name__ == "__main__":
    main()
