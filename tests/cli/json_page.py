"""What the page on JSON keys says."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "json.md"


def keys_on_page(command):
    """Names in code outside brackets, up to the first full stop that ends their list."""
    section = re.search(rf"^## {command}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.M | re.S)[1]
    listed = section.split(": ", 1)[1] if section.lstrip().startswith("A list") else section
    listed = re.sub(r"\([^)]*\)", "", listed).split(". ")[0].split(".\n")[0]
    return set(re.findall(r"`([^`]+)`", listed))
