"""Reading a tar archive to its very end, so that a damaged one is refused and not half read."""

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from io import BufferedIOBase
from pathlib import Path

from optics._files import open_file

# By the first bytes of a file.
DECOMPRESSORS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
MAX_MEMBERS = 2**20
MAX_UNPACKED = 2**33  # bytes of the whole archive
MAX_EXTENSION = 2**20  # bytes of a long name or of other additions to a header
# What reading damaged bytes raises; a number that cannot be read is a ValueError of tarfile.
DAMAGES = (
    *(tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError),
    *(ValueError, IndexError, KeyError, MemoryError, OverflowError, RecursionError),
)


class _Header(tarfile.TarInfo):
    """A header of a member, each of which has to be whole: tarfile would take a damaged one for the end."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> "_Header":
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:
            raise  # a block of zeros, which is the end
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from None
        if header.size < 0 or (header.type not in tarfile.REGULAR_TYPES and header.size > MAX_EXTENSION):
            raise tarfile.ReadError(f"a header claims {header.size:,} bytes")
        return header


def read_members(
    path: Path, is_wanted: Callable[[str], bool], max_bytes: int
) -> Iterator[tuple[str, bytes | None]]:
    """The names of the files in a tar archive, packed or not, and the contents of those that are wanted.

    Whoever takes them all has had everything read, and the sums of the packing compared.

    Arguments:
        path: of the archive.
        is_wanted: whether the content of a file of this name is read; None stands for it otherwise.
        max_bytes: the most that a wanted file may hold.

    Raises:
        tarfile.ReadError: the archive is damaged, cut off, or unpacks to more than is read of one.
        ValueError: the path is not that of a regular file.
    """
    with open_file(path, name="data_path") as packed:
        start = packed.read(6)
        packed.seek(0)
        unpack = next((f for magic, f in DECOMPRESSORS.items() if start.startswith(magic)), None)
        try:
            with unpack(packed) if unpack else packed as stream:
                yield from _walk(stream, is_wanted, max_bytes)
        except DAMAGES as error:
            raise tarfile.ReadError(str(error) or type(error).__name__) from None


def _walk(
    stream: BufferedIOBase, is_wanted: Callable[[str], bool], max_bytes: int
) -> Iterator[tuple[str, bytes | None]]:
    with tarfile.open(fileobj=stream, mode="r:", tarinfo=_Header) as archive:
        for count, member in enumerate(archive, 1):
            if count > MAX_MEMBERS or archive.offset > MAX_UNPACKED:
                raise tarfile.ReadError(f"more than {MAX_MEMBERS:,} files or {MAX_UNPACKED:,} bytes")
            if not member.isfile():
                continue
            content = None
            if is_wanted(member.name):
                if member.size > max_bytes:
                    raise tarfile.ReadError(
                        f"{member.name} has {member.size:,} bytes, more than the {max_bytes:,} of a text"
                    )
                content = archive.extractfile(member).read()
            yield member.name, content
        _check_end(stream)


def _check_end(stream: BufferedIOBase) -> None:
    """Read what follows the first block of zeros: another one, and nothing but zeros."""
    length = 0
    while block := stream.read(2**20):
        if block.strip(b"\0"):
            raise tarfile.ReadError("something follows its end")
        length += len(block)
        if length > MAX_UNPACKED:
            raise tarfile.ReadError("its end never comes")
    if length < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("its end is missing")
