"""Build site/, all lessons with their outputs and the page, as files that open from disk: python docs/build_site.py

With names of lessons, python docs/build_site.py 00_start_here, only these.
"""

import argparse
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urldefrag

import nbformat
from bs4 import BeautifulSoup, Tag
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pygments.formatters import HtmlFormatter

import tnv2

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
LESSONS = sorted((ROOT / "notebooks").glob("0*.ipynb"))
TEXTS = {  # pages made of Markdown
    DOCS / "site" / "index.md": "index.html",
    ROOT / "notebooks" / "README.md": "teachers.html",
    ROOT / "weights" / "README.md": "model_card.html",
    ROOT / "README.md": "readme.html",
}
PAGE = "tnv2-page.html"  # the network and the tuner in one file
MENU = [
    ("index.html", "tnv2"),
    (PAGE, "Try it"),
    ("index.html#lessons", "Lessons"),
    ("teachers.html", "For teachers"),
    ("model_card.html", "Model card"),
    ("readme.html", "Read me"),
]
COPIED = (".html", ".png", ".webp")  # what a lesson or a text links to and the site takes along; other links become text
VIEW = "application/vnd.jupyter.widget-view+json"
SAVE = """
import gc
import tnv2

for thing in gc.get_objects():
    if issubclass(type(thing), tnv2.ThresholdTuner):
        thing.save_handout(f"{thing.model_id}.html")
"""  # the kernel's last cell: every tuner as it stands in the end
TELL = """<script>
if (parent !== self) {
    new ResizeObserver(() => parent.postMessage(document.body.offsetHeight + 34, "*")).observe(document.body); // and margins
}
</script>
</body>"""  # in a frame, a handout says how high it is, in CSS px
COLOURS = {"light": "default", "dark": "github-dark"}  # Pygments' styles


def main() -> None:
    """Read the command line and build the site."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lessons", nargs="*", help="names of notebooks, without .ipynb; all if left out")
    parser.add_argument("--out", type=Path, default=ROOT / "site", help="the folder; one that was built before is replaced")
    options = parser.parse_args()
    names = [path.stem for path in LESSONS]
    if unknown := set(options.lessons) - set(names):
        parser.error(f"there is no lesson {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if options.out.exists() and not (options.out / "site.css").is_file():
        parser.error(f"{options.out} is there and is no site; it would be replaced. Choose another folder.")
    part = options.out.with_name(f"{options.out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    build(part, [path for path in LESSONS if path.stem in options.lessons or not options.lessons])
    shutil.rmtree(options.out, ignore_errors=True)
    part.rename(options.out)


def build(site: Path, lessons: list[Path]) -> None:
    """Write the site of some lessons into a new folder."""
    (site / "handouts").mkdir(parents=True)
    pages = TEXTS | {ROOT / PAGE: PAGE} | {path: f"{path.stem}.html" for path in lessons}
    print(PAGE, flush=True)
    tnv2.save_page(site / PAGE)
    (site / "site.css").write_text((DOCS / "site" / "site.css").read_text("utf-8") + colours(), "utf-8")
    for source, name in TEXTS.items():
        text = source.read_text("utf-8").replace("<!-- lessons -->", contents(lessons))
        book = new_notebook(cells=[new_markdown_cell(text)])
        (site / name).write_text(Linked(site, source, source.parent, pages).html(book), "utf-8")
    for at, path in enumerate(lessons):
        print(path.stem, flush=True)
        shutil.copy(path, site)
        around = {"notebook": path.name} | {
            turn: f"{lessons[other].stem}.html"
            for turn, other in (("before", at - 1), ("after", at + 1))
            if 0 <= other < len(lessons)
        }
        with TemporaryDirectory() as folder:
            book = framed(executed(path, Path(folder)), Path(folder), site / "handouts", path.stem)
            (site / f"{path.stem}.html").write_text(Linked(site, path, Path(folder), pages).html(book, **around), "utf-8")


def contents(lessons: list[Path]) -> str:
    """Return the list of lessons as Markdown: the questions that they begin with."""
    questions = [nbformat.read(path, as_version=4).cells[0].source.partition("\n")[0].lstrip("# ") for path in lessons]
    return "\n".join(
        f"{int(path.stem[:2])}. [{question}](../../notebooks/{path.name})"
        for path, question in zip(lessons, questions, strict=True)
    )


def colours() -> str:
    """Return the CSS of highlighted code, light and dark."""
    rules = {scheme: HtmlFormatter(style=style).get_style_defs(".highlight") for scheme, style in COLOURS.items()}
    return "".join(f"\n@media (prefers-color-scheme: {scheme}) {{\n{each}\n}}\n" for scheme, each in rules.items())


def executed(path: Path, folder: Path) -> NotebookNode:
    """Return a lesson run in ``folder`` as a learner gets it: without solutions, so that exercises are not answered yet.

    The folder then has a handout of every tuner, by the name of its model.
    """
    book = nbformat.read(path, as_version=4)
    given = [cell for cell in book.cells if "solution" not in cell.metadata.get("tags", [])]
    book.cells = [*given, new_code_cell(SAVE)]
    client = NotebookClient(book, timeout=600, store_widget_state=False, resources={"metadata": {"path": str(folder)}})
    client.extra_arguments = ["--log-level=ERROR"]
    client.execute()
    book.cells.pop()
    text = nbformat.writes(book).replace(f"{folder.resolve()}{os.sep}", "").replace(str(ROOT), "..")  # as from notebooks/
    return nbformat.reads(text, as_version=4)


def framed(book: NotebookNode, folder: Path, handouts: Path, lesson: str) -> NotebookNode:
    """Return a lesson whose tuners are frames with handouts, moved from ``folder``, and whose other widgets are stills."""
    number = 0
    for cell in (cell for cell in book.cells if cell.cell_type == "code"):
        shown, live = [], False
        for output in cell.outputs:  # a widget is two: its view, and below it its still
            data = output.get("data", {})
            if VIEW in data:
                saved = folder / f"{data[VIEW]['model_id']}.html"
                if live := saved.is_file():
                    number += 1
                    name = f"{lesson}-{number}.html"
                    (handouts / name).write_text(saved.read_text("utf-8").replace("</body>", TELL), "utf-8")
                    shown.append(new_output("display_data", {"text/html": frame(f"handouts/{name}", number)}))
            elif not (live and "tnv2-still" in data.get("text/html", "")) and data.get("text/html") != "":
                shown.append(output)  # empty is what a progress bar leaves
        cell.outputs = shown
    return book


def frame(address: str, number: int) -> str:
    """Return the HTML of a handout in a frame."""
    return (
        f'<iframe src="{address}" title="Tuner {number} of this lesson" loading="lazy"></iframe>'
        f'<p><a href="{address}">Open this tuner by itself</a></p>'
    )


class Linked:
    """A text or a lesson as a page of the site, whose links lead to the site's other pages and to files that come along.

    site : the folder. source : where the text is in the repository. folder : where it was executed. pages : {path in the
        repository: name in the site}.
    """

    def __init__(self, site: Path, source: Path, folder: Path, pages: dict[Path, str]) -> None:
        self.site, self.source, self.folder, self.pages = site, source, folder, pages

    def html(self, book: NotebookNode, **around: str) -> str:
        """Return a notebook as the HTML of a page; ``around`` are its notebook, the lesson before and the one after."""
        exporter = HTMLExporter(
            template_name="site", extra_template_basedirs=[str(DOCS)], extra_template_paths=[], exclude_anchor_links=True
        )
        title = re.sub(r"[`*]", "", book.cells[0].source.partition("\n")[0].lstrip("# "))
        resources = {"title": title, "name": self.pages[self.source], "menu": MENU, **around}
        html, _ = exporter.from_notebook_node(book, resources)
        soup = BeautifulSoup(html, "html.parser")
        for heading in soup.select("main :is(h1, h2, h3, h4)"):
            heading["id"] = re.sub(r"[^\w\- ]", "", heading.get_text()).strip().lower().replace(" ", "-")  # as GitHub's
        for tag in soup.select("main a, main img"):
            self.lead(tag, "href" if tag.name == "a" else "src")
        for table in soup.select("main table"):
            table.wrap(soup.new_tag("div", attrs={"class": "wide", "role": "group", "aria-label": "table", "tabindex": "0"}))
        for cell in soup.select("main th"):
            if not cell.get_text(strip=True):
                cell.name = "td"  # a heading without words is none
        return str(soup)

    def lead(self, tag: Tag, attribute: str) -> None:
        """Make a tag's link lead to the site, or text of it where it cannot."""
        target, anchor = urldefrag(str(tag[attribute]))
        if not target or re.match(r"[a-z]+:", target) or tag.has_attr("download"):
            return
        found = next((path for path in self.candidates(unquote(target)) if path in self.pages or path.is_file()), None)
        if found in self.pages:
            tag[attribute] = self.pages[found] + (f"#{anchor}" if anchor else "")
        elif found and found.suffix in COPIED:
            name = found.name if found.is_relative_to(ROOT) else f"{self.source.stem}-{found.name}"
            (self.site / "files").mkdir(exist_ok=True)
            shutil.copy(found, self.site / "files" / name)
            tag[attribute] = f"files/{name}"
        elif found or not (self.site / target).is_file():  # what is in the site already is the template's
            tag.unwrap()

    def candidates(self, target: str) -> Iterator[Path]:
        """Yield where a link's file may be: beside the source, or where the lesson was executed."""
        for folder in (self.source.parent, self.folder):
            yield (folder / target).resolve()


if __name__ == "__main__":
    os.environ.pop("TNV2_TILES", None)  # the lessons' own tiles, on every machine
    main()
