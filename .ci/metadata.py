"""Metadata that depends on where the project is kept: its links, and README.md with links that work there.

`PROJECT_URL=https://host/owner/name python -m build` gives both. Without it a wheel has no links, and
README.md is as in the source.
"""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

# Targets in the project, without http: or an anchor of the same page; images are shown, pages are opened.
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)\s]+)\)")


class ProjectLinks(MetadataHookInterface):
    """Set `urls` and `readme`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add both to the table [project] of pyproject.toml."""
        url = os.environ.get("PROJECT_URL", "").rstrip("/")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = absolute_links(text, url) if url else text
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        pages = {"Changelog": "CHANGELOG.md", "Results": "bench/results/README.md", "Notebooks": "notebooks"}
        urls = {"Source": url, **{name: f"{url}/blob/HEAD/{page}" for name, page in pages.items()}}
        metadata["urls"] = urls if url else {}


def absolute_links(text: str, url: str) -> str:
    """A page whose relative links lead into the project at `url`."""
    return LINK.sub(lambda m: f"{m[1]}[{m[2]}]({url}/{'raw' if m[1] else 'blob'}/HEAD/{m[3]})", text)
