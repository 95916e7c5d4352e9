"""Journal: a training's log, a small table that grows as it goes."""

import csv
from pathlib import Path

from ..files import PathLike

COLUMNS = "step", "minutes", "rate", "loss"
LOGGED = 50  # steps between rows


class Journal:
    """A CSV file of COLUMNS, a row every 50 steps; ``loss`` is the mean since the row before.

    step : how many are done. Rows of later ones, from a training that was stopped and goes on from there, are dropped.
    """

    def __init__(self, path: PathLike, step: int) -> None:
        self.path, self.losses = Path(path), list[float]()
        rows = []
        if self.path.is_file() and step:
            with self.path.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.reader(file) if row and row[0].isdigit() and int(row[0]) <= step]
        with self.path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS, *rows])

    def note(self, step: int, minutes: float, rate: float, loss: float) -> None:
        """Take down one step, and write a row where one is due."""
        self.losses.append(loss)
        if step % LOGGED == 0:
            mean = sum(self.losses) / len(self.losses)
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.writer(file).writerow([step, f"{minutes:.2f}", f"{rate:.6f}", f"{mean:.4f}"])
            self.losses.clear()
