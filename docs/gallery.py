"""Run the code of gallery.md from top to bottom, and keep the pictures that it shows.

python docs/gallery.py

Screenshots are taken with Debian's chromium, driven by playwright (the extra test).
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE / "gallery.md"
BLOCK = re.compile(r"```(python|console)\n(.*?)```", re.DOTALL)
IMAGE = re.compile(r"\]\(gallery/([\w.-]+\.png)\)")
SHOTS = {
    "report.png": {"width": 1200, "height": 900, "dark": False, "heading": None},
    "report-phone.png": {"width": 390, "height": 844, "dark": True, "heading": "Map"},
}


def run_page(text, folder):
    """Run all blocks of a page in a folder, as if copied one after the other."""
    names = {}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    previous = Path.cwd()
    os.chdir(folder)
    try:
        for language, code in BLOCK.findall(text):
            if language == "python":
                exec(compile(code, PAGE.name, "exec"), names)  # noqa: S102
                continue
            for line in code.splitlines():
                command = line.removeprefix("$ ")
                subprocess.run(command, shell=True, check=True, env={**os.environ, "PATH": path})  # noqa: S602
    finally:
        os.chdir(previous)


def take_screenshots(page, folder):
    """The report as it opens on a wide screen and on a phone."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        for name, shot in SHOTS.items():
            context = browser.new_context(
                viewport={"width": shot["width"], "height": shot["height"]},
                color_scheme="dark" if shot["dark"] else "light",
                offline=True,
            )
            tab = context.new_page()
            tab.goto(page.as_uri())
            tab.wait_for_selector("html[data-ready=true]")
            if shot["heading"]:
                tab.get_by_role("heading", name=shot["heading"], exact=True).evaluate(
                    "heading => window.scrollTo({top: heading.offsetTop - 10, behavior: 'instant'})"
                )
                tab.wait_for_timeout(300)
            tab.screenshot(path=folder / name)
        browser.close()


def main():
    """Make all pictures, then put them where the page shows them."""
    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        run_page(text, folder)
        shutil.copy(folder / "runs" / "synthetic" / "history.png", folder)
        take_screenshots(folder / "report.html", folder)
        for name in IMAGE.findall(text):
            shutil.copy(folder / name, HERE / "gallery" / name)
            print(f"{name}: {(folder / name).stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
