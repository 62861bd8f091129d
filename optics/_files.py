"""Files that someone else wrote: a door that opens only a regular file, and only if it is not too large."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path


@contextmanager
def open_file(path: Path, max_bytes: int | None = None, name: str = "") -> Iterator[BufferedIOBase]:
    """A regular file, open for reading; anything else, such as a FIFO, is refused without being opened.

    Arguments:
        path: of the file; links are followed.
        max_bytes: the largest file that is opened; None is any.
        name: of the argument that the path comes from, for messages.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no regular file, too large, or may not be read.
    """
    owner = f"`{name}` {path}" if name else str(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{owner} is no regular file; give the path of one.")
        if max_bytes is not None and status.st_size > max_bytes:
            raise ValueError(
                f"{owner} has {status.st_size:,} bytes, more than the {max_bytes:,} that are read of such a "
                "file."
            )
        file = path.open("rb")
    except FileNotFoundError:
        raise FileNotFoundError(f"{owner} does not exist.") from None
    except OSError as error:
        raise ValueError(f"{owner} cannot be read: {error.strerror}.") from None
    with file:
        yield file


def read_text(path: Path, max_bytes: int, name: str = "") -> str:
    """The text of a regular file, in UTF-8.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as of `open_file`, or it is not UTF-8.
    """
    with open_file(path, max_bytes, name) as file:
        # A file of the kernel says that it has no bytes.
        content = file.read(max_bytes)
    return decode(content, str(path), name)


def decode(content: bytes, path: str, name: str = "") -> str:
    """The text of a file, from its bytes in UTF-8.

    Raises:
        ValueError: they are not UTF-8.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        owner = f"`{name}`: {path}" if name else path
        raise ValueError(
            f"{owner} is not UTF-8 text ({error.reason} at byte {error.start}); convert or remove it."
        ) from None
