"""Zernike coefficients from text, in whichever order a program wrote them."""

import math
import re
from pathlib import Path

import numpy as np
from jaxtyping import Float

from optics import wave
from optics._check import as_path, check_choice, check_positive_number, describe
from optics._files import decode, open_file
from optics._typing import PathLike, ScalarLike, TextLike
from optics.records._rows import read_rows

MAX_BYTES = 2**20  # the largest file that is read
FIRST = {"noll": 1, "osa": 0, "fringe": 1}
ORDERS = {"noll": wave.noll, "osa": wave.osa, "fringe": wave.fringe}
# Words by which a heading names an order.
NAMES = {"noll": "noll", "osa": "osa", "ansi": "osa", "fringe": "fringe"}
UNITS = {"m": 1.0, "um": 1e-6, "nm": 1e-9}
# The last of the 37 Fringe polynomials of lens programs is out of turn.
LAST_OF_37 = 37, (12, 0)
LISTING = re.compile(r"Zernike\s+(Standard|Fringe|Annular)\b", re.IGNORECASE)
TERM = re.compile(r"\s*Z\s*(\d+)\s+([^\s:]+)\s*(?::\s*(.*?)\s*)?$")
WAVELENGTH = re.compile(r"\s*Wavelength\s*:\s*(\S+)\s*(\S*)", re.IGNORECASE)

Terms = dict[int, tuple[float, str]]


def read_zernikes(
    path: PathLike,
    index: TextLike | None = None,
    unit: TextLike = "waves",
    wavelength: ScalarLike | None = None,
) -> Float[np.ndarray, " coefficients"]:
    """Zernike coefficients of a text file, as `FourierLens(aberrations=...)` and `wave.aberration` take them.

        c_j = a_k                  where the k-th polynomial of "noll" or "osa" is Noll's j-th
        c_j = a_k / √(n + 1)       of "fringe", m = 0; its polynomials have the value 1 at the rim
        c_j = a_k / √(2 (n + 1))   of "fringe", m ≠ 0

        two columns    index, coefficient; indices that are left out are 0
        one column     coefficients from the first index on
        a listing      as Zemax writes its "Zernike Standard Coefficients" or "Zernike Fringe Coefficients"

    A comment (`#`) or a heading with one of the words Noll, OSA, ANSI or Fringe names the order; a listing
    names it itself, and its formulas are compared with its indices. A file of "fringe" whose last index is 37
    is the set of 37 of lens programs, which ends with n = 12, m = 0. The sign is the file's: positive is a
    longer path here, but not in every program.

    Arguments:
        path: of the file.
        index: the order that the file counts in: "noll", "osa" (ANSI Z80.28) or "fringe"; None where the file
            names it.
        unit: of the coefficients: "waves", "rad", "m", "um" or "nm". Listings are in waves.
        wavelength: of the light, m: lengths are divided by it, and waves of a listing, which names its own
            wavelength, are made waves of it.

    Returns:
        c_1, c_2, … in Noll's order, waves of unit root mean square, as far as the last in the file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no regular file, one of more than 1 MiB, or no text; no order named, or another than
            `index`; text that is no number (with its line), an index that the order does not have or that
            comes twice, a listing with a line missing or with formulas of another order, or a `wavelength`
            that is missing, not positive or of no use.

    Example:
        >>> import pathlib, tempfile, optics
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "lens.txt"
        >>> _ = path.write_text("# Fringe, waves\\n4 0.3\\n9 0.1\\n")
        >>> optics.records.read_zernikes(path).round(3).tolist()
        [0.0, 0.0, 0.0, 0.173, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.045]

    Source: Noll (1976); ANSI Z80.28-2017; J. C. Wyant and K. Creath, Applied Optics and Optical Engineering
        XI, chapter 1 (1992).
    """
    path = as_path("path", path)
    check_choice("index", index, (*ORDERS, None))
    check_choice("unit", unit, ("waves", "rad", *UNITS))
    if wavelength is not None:
        check_positive_number("wavelength", wavelength, "m")
        if wavelength > 1e-3:
            raise ValueError(f"`wavelength` must be in m, such as 633e-9, got {describe(wavelength)}.")
    text = _read_text(path)
    listing = LISTING.search(text)
    if listing is None or not ("Listing of Zernike" in text or re.search(r"^\s*Z\s*\d", text, re.MULTILINE)):
        order = _order(path, text, index)
        terms = _read_columns(path, text, order)
        scale = _scale(path, unit, wavelength)
    else:
        order = _order_of_listing(path, listing[1].lower(), index)
        terms = _read_listing(path, text)
        if unit != "waves":
            raise ValueError(f'`unit` must be "waves" for the listing {path}, got {describe(unit)}.')
        scale = 1.0 if wavelength is None else _wavelength(path, text) / float(wavelength)
    numbers = {}
    for k, (value, formula) in terms.items():
        n, m = _orders(path, order, k, last=max(terms))
        if formula:
            _check_formula(path, k, formula, n, m)
        norm = math.sqrt((n + 1) * (1 if m == 0 else 2)) if order == "fringe" else 1.0
        numbers[wave.noll_index(n, m)] = scale * value / norm
    coefficients = np.zeros(max(numbers))
    for j, value in numbers.items():
        coefficients[j - 1] = value
    if not np.all(np.isfinite(coefficients)):
        raise ValueError(f"{path} must hold finite coefficients; `unit` and `wavelength` make them infinite.")
    return coefficients


def _read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 or Latin-1 as lens programs on Windows write it."""
    with open_file(path, MAX_BYTES, "path") as file:
        content = file.read(MAX_BYTES)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            text = content.decode("utf-16")
        except UnicodeDecodeError as error:
            raise ValueError(f"`path` {path} is no whole text in UTF-16 ({error.reason}).") from None
    elif b"Listing of Zernike" in content[:200]:
        text = content.decode("latin-1")
    else:
        text = decode(content, str(path), "path").removeprefix("\ufeff")
    if "\0" in text:
        raise ValueError(f"`path` {path} must be text, but holds zero bytes; it is binary, or damaged.")
    return text


def _order(path: Path, text: str, index: str | None) -> str:
    """The order that a file of columns counts in, by `index` and by its comments and heading."""
    lines = [line for line in text.splitlines() if re.search(r"#|[A-Za-z]{3}", line)]
    words = re.findall(r"[a-z]+", " ".join(lines).lower())
    names = sorted({NAMES[word] for word in words if word in NAMES})
    if index is None and len(names) != 1:
        raise ValueError(
            f'`index` must be given for {path}: "noll", "osa" or "fringe"; the file names '
            f"{' and '.join(names) or 'none'}."
        )
    if index is not None and len(names) == 1 and index != names[0]:
        raise ValueError(f'`index` is "{index}", but {path} says "{names[0]}"; leave it out.')
    return names[0] if index is None else index


def _order_of_listing(path: Path, kind: str, index: str | None) -> str:
    if kind == "annular":
        raise ValueError(
            f"`path` {path} lists annular Zernike coefficients; list standard ones, whose pupil is a disc."
        )
    order = "noll" if kind == "standard" else "fringe"
    if index is not None and index != order:
        raise ValueError(f'`index` is "{index}", but the listing {path} counts as "{order}"; leave it out.')
    return order


def _read_columns(path: Path, text: str, order: str) -> Terms:
    rows = read_rows(path, text, "a file of coefficients has lines of index and coefficient")
    if len(rows[0]) == 1:
        return {k: (value, "") for k, (value,) in enumerate(rows, FIRST[order])}
    terms: Terms = {}
    for k, value in rows:
        if k % 1:
            raise ValueError(f"{path} must hold whole indices in its first column, got {k:g}.")
        if k in terms:
            raise ValueError(f"{path} holds index {k:g} twice; leave one.")
        terms[int(k)] = value, ""
    return terms


def _read_listing(path: Path, text: str) -> Terms:
    """The coefficients of a listing, from 1 on without a gap."""
    terms: Terms = {}
    with_formula = set()
    for number, line in enumerate(text.splitlines(), 1):
        if not re.match(r"\s*Z\s*(\d|$)", line):
            continue
        term = TERM.match(line)
        try:
            value = math.nan if term is None else float(term[2])
        except ValueError:
            value = math.nan
        if term is None or not math.isfinite(value):
            raise ValueError(
                f"line {number} of {path} must hold Z, an index and a finite coefficient, got "
                f"{line.strip()[:80]!r}."
            )
        k = int(term[1])
        if k != len(terms) + 1:
            raise ValueError(
                f"line {number} of {path} must hold coefficient {len(terms) + 1}, got {k}; list one field "
                "and one wavelength in a file."
            )
        terms[k] = value, term[3] or ""
        with_formula.add(bool(term[3]))
    if not terms:
        raise ValueError(f"{path} lists no coefficients; a listing has lines such as `Z 4 0.025 : …`.")
    if len(with_formula) > 1:
        k = next(k for k, (_, formula) in terms.items() if not formula)
        raise ValueError(f"{path} has no formula at coefficient {k}; it is cut off: list it again.")
    return terms


def _wavelength(path: Path, text: str) -> float:
    """The wavelength of a listing, m."""
    line = next(filter(None, map(WAVELENGTH.match, text.splitlines())), None)
    if line is None:
        raise ValueError(f"`wavelength` cannot be used: the listing {path} does not say its own.")
    try:
        value = float(line[1])
    except ValueError:
        value = math.nan
    if not 0 < value < 1e3:
        raise ValueError(f"{path} must have a positive wavelength in µm, got {line[1][:40]!r}.")
    return 1e-6 * value


def _scale(path: Path, unit: str, wavelength: ScalarLike | None) -> float:
    """What makes waves of the numbers of a file of columns."""
    if unit in UNITS:
        if wavelength is None:
            raise ValueError(
                f'`wavelength` must be given, such as 633e-9: the coefficients of {path} are in "{unit}".'
            )
        return UNITS[unit] / float(wavelength)
    if wavelength is not None:
        raise ValueError(
            f"`wavelength` is of no use: {path} does not say at which one its {unit} are; leave it out."
        )
    return 1.0 if unit == "waves" else 1 / (2 * math.pi)


def _orders(path: Path, order: str, k: int, last: int) -> tuple[int, int]:
    if order == "fringe" and (k, last) == (LAST_OF_37[0],) * 2:
        return LAST_OF_37[1]
    try:
        return ORDERS[order](k)
    except ValueError:
        hint = ' "osa" counts from 0,' if k == 0 and order == "noll" else ""
        hint = " Wyant's table counts from 0: add 1 to each," if k == 0 and order == "fringe" else hint
        raise ValueError(
            f'{path} holds index {k}, but "{order}" counts from {FIRST[order]};{hint} see `index`.'
        ) from None


def _check_formula(path: Path, k: int, formula: str, n: int, m: int) -> None:
    """Refuse a formula of a listing, such as 6^(1/2) (p^2) * SIN (2A), of other orders than its index has."""
    # Brackets multiply: (3p^2 - 2) p has degree 3.
    factors = [*re.findall(r"\(([^()]*)\)", formula), re.sub(r"\([^()]*\)", " ", formula)]
    angle = re.search(r"\b(COS|SIN)\s*\(\s*(\d*)\s*A\s*\)", formula, re.IGNORECASE)
    m_written = 0 if angle is None else int(angle[2][:3] or 1) * (1 if angle[1].upper() == "COS" else -1)
    n_written = sum(map(_degree, factors))
    if (n_written, m_written) != (n, m):
        raise ValueError(
            f"{path}: coefficient {k} has n = {n}, m = {m} in this order, but its formula {formula[:60]!r} "
            f"has n = {n_written}, m = {m_written}; the listing is damaged, or of another order."
        )


def _degree(polynomial: str) -> int:
    powers = re.findall(r"p(?:\^(\d{1,3}))?", polynomial, re.IGNORECASE)
    return max((int(power or 1) for power in powers), default=0)
