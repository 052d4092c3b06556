"""Builds these pages as a site: `make docs`, or `python docs/site.py FOLDER`; see FOLDER/site.

Pages link to files of the repository, so that they can be read there. A site has its own pages
only: what links to them is kept, the words of other links stay. The reference of the command line
is what ``--help`` prints.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import typer

import matinee
from matinee.cli.app import app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BESIDE = {  # pages of the repository that are pages of the site
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")
WIDTH = 80


def site_links(text: str, source: Path, page: Path) -> str:
    """The text of a page with links as they are on the site."""

    def on_site(match: re.Match[str]) -> str:
        words, target = match.groups()
        path, _, anchor = target.partition("#")
        if re.match(r"https?:", target) or not path:
            return match[0]
        file = (source.parent / path).resolve()
        if file.is_relative_to(DOCS):
            there = file.relative_to(DOCS)
        elif str(file.relative_to(ROOT)) in BESIDE:
            there = Path(BESIDE[str(file.relative_to(ROOT))])
        else:
            return words
        up = "../" * (len(page.parts) - 1)
        return f"[{words}]({up}{there}{'#' + anchor if anchor else ''})"

    return LINK.sub(on_site, text)


def command_line() -> str:
    """A page with the help of every command."""
    parts = ["# Command line", f"What `--help` says. Version {matinee.__version__}."]
    for name, text in helps(typer.main.get_command(app), None, "matinee"):
        parts += [f"## {name}", f"```text\n{text}\n```"]
    return "\n\n".join(parts) + "\n"


def helps(
    command: click.Command, parent: click.Context | None, name: str
) -> Iterator[tuple[str, str]]:
    """Name and help of a command and of all below it."""
    context = click.Context(
        command, parent=parent, info_name=name.split()[-1], max_content_width=WIDTH
    )
    context.terminal_width = WIDTH
    yield name, command.get_help(context).strip()
    for child, below in getattr(command, "commands", {}).items():
        yield from helps(below, context, f"{name} {child}")


def write_pages(folder: Path) -> None:
    """All pages and pictures of the site, as its builder takes them."""
    if folder.exists():
        if not (folder.parent / "zensical.toml").exists():
            sys.exit(f"{folder} is not from here, and stays.")
        shutil.rmtree(folder)
    skipped = shutil.ignore_patterns("*.py", "*.toml", "__pycache__")
    shutil.copytree(DOCS, folder, ignore=skipped)
    sources = {path: path.relative_to(DOCS) for path in DOCS.rglob("*.md")}
    sources |= {ROOT / name: Path(page) for name, page in BESIDE.items() if name != "README.md"}
    for source, page in sources.items():
        text = site_links(source.read_text(encoding="utf-8"), source, page)
        (folder / page).write_text(text, encoding="utf-8")
    (folder / "reference" / "command-line.md").write_text(command_line(), encoding="utf-8")


def build(folder: Path) -> int:
    """Build the site in a folder; the builder's exit status, not 0 if it warns of anything."""
    write_pages(folder / "pages")
    config = shutil.copy(DOCS / "zensical.toml", folder)  # which has to lie above what it builds
    builder = Path(sys.executable).with_name("zensical")
    arguments = "build", "--clean", "--strict", "--config-file", config
    status = subprocess.run([builder, *arguments], check=False).returncode
    if status == 0:
        print(f"To read it: python -m http.server --bind 127.0.0.1 --directory {folder / 'site'}")
    return status


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1])))
