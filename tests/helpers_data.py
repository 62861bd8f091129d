"""Archives of reviews that the tests of data make."""

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path


def pack_archive(path: Path, files: Iterable[tuple[str, str]]) -> Path:
    """Write texts by name into a tar archive packed with gzip."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content.encode())
            archive.addfile(member, io.BytesIO(content.encode()))
    return path
