"""Journal: a training's log, a small table that grows as it goes."""

import csv

import numpy as np

from ..files import PathLike, expanded

COLUMNS = "step", "minutes", "rate", "loss"
LOGGED = 50  # steps between rows


class Journal:
    """A CSV file of COLUMNS, a row every 50 steps; ``loss`` is the mean since the row before.

    step : how many are done. Rows of later ones, from a training that was stopped and goes on from there, are dropped.
    """

    def __init__(self, path: PathLike, step: int) -> None:
        self.path, self.losses = expanded(path), list[float]()
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


def plot_log(log: PathLike, scores: PathLike, path: PathLike) -> None:
    """Draw a Journal's loss over the steps, and below it the means of a table of scores, into a picture.

    scores : CSV file, there or not, with a row a time: its columns are ``step`` and what ``choosing.scores`` gives.
    path : ends in .png or .svg.
    """
    from matplotlib.figure import Figure  # no window, no state

    table, scored = columns(log), columns(scores) if expanded(scores).is_file() else {}
    figure = Figure(figsize=(7, 6), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    above.plot(table["step"], table["loss"], ".-", color="0.7", label=f"mean of {LOGGED} steps")
    few = min(20, 1 + len(table["loss"]) // 4)
    if len(table["loss"]) >= few > 1:
        smooth = np.convolve(table["loss"], np.full(few, 1 / few), "valid")
        above.plot(table["step"][few - 1 :], smooth, label=f"mean of {few * LOGGED} steps")
    above.set(ylabel="loss")
    above.legend()
    for name in ("f1", "iou"):
        if name in scored:
            below.plot(scored["step"], scored[name], ".-", label=f"{name} on what is set aside")
    if scored:
        below.legend()
    below.set(xlabel="step", ylim=(0, 1))
    figure.savefig(expanded(path))


def columns(path: PathLike) -> dict[str, np.ndarray]:
    """Return the columns of a CSV file of numbers by their names."""
    with expanded(path).open(newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    return dict(zip(names, np.array(rows, float).reshape(-1, len(names)).T, strict=True))
