"""How an option says what it can be: its range and the options it depends on, for checks and for `--help`."""

import ast
import inspect
import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import tyro


def flag(name: str, value: Any = None) -> str:
    """The command-line flag of an option; with the value False, the flag that turns it off."""
    option = {"overrides": "set"}.get(name, name).replace("_", "-")
    return f"--no-{option}" if value is False else f"--{option}"


@dataclass(frozen=True)
class Range:
    """The values that an option can have; None always stands for the default.

    Arguments:
        words: the range, to follow "must be".
        contains: whether a value lies in it.
    """

    words: str
    contains: Callable[[Any], bool]

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError if the value of the option lies outside."""
        if value is not None and not self.contains(value):
            raise ValueError(f"`{name}` must be {self.words}, got {shorten(value)}.")


@dataclass(frozen=True)
class Only:
    """The condition that an option has an effect only together with another one.

    Arguments:
        option: the other one.
        values: those of its values that it takes; any but None if empty.
        example: such a value, if there are none listed.
    """

    option: str
    values: tuple[str, ...] = ()
    example: str = ""

    @property
    def words(self) -> str:
        """The condition, for `--help`."""
        return f"only with {flag(self.option)} {_either(self.values)}".rstrip()

    def check(self, name: str, config: Any, defaults: Mapping[str, Any]) -> None:
        """Raise ValueError if the option is set and the condition does not hold."""
        value, other = getattr(config, name), getattr(config, self.option)
        other = defaults.get(self.option) if other is None else other
        if value in (getattr(type(config), name), defaults.get(name)):
            return
        if self.values and other not in self.values:
            raise ValueError(
                f"`{name}` has no effect with `{self.option}` {other}; leave {flag(name, value)} out, or set "
                f"{flag(self.option)} to {_either(self.values)}."
            )
        if not self.values and other is None:
            raise ValueError(
                f"`{name}` has no effect without `{self.option}`; leave {flag(name, value)} out, or set "
                f"{flag(self.option)}, to {self.example} for example."
            )


def _either(values: Sequence[str]) -> str:
    return " or ".join(part for part in (", ".join(values[:-1]), *values[-1:]) if part)


def whole(low: int, high: int = 2**31 - 1) -> Range:
    """Whole numbers from `low` to `high`."""
    return Range(f"a whole number from {low} to {high:,}", lambda value: low <= value <= high)


POSITIVE = Range("finite and above zero", lambda value: 0 < value < math.inf)
POSITIVE_OR_MEASURED = Range(
    "finite and above zero, or measured", lambda value: value == "measured" or 0 < value < math.inf
)
SECONDS = Range("finite and at least 0 seconds", lambda value: 0 <= value < math.inf)
FRACTION = Range("at least 0 and below 1", lambda value: 0 <= value < 1)
SHARE = Range("above 0 and at most 1", lambda value: 0 < value <= 1)
SEED = whole(0, 2**32 - 1)  # what a key of JAX holds without double precision
SEEDS = Range(f"whole numbers from 0 to {2**32 - 1:,}", lambda values: all(map(SEED.contains, values)))
UNITS = whole(1, 10_000)  # of a device, each of which is built
SIZE = whole(1, 2**16)
SIDE = whole(64, 2**13)  # pixels of a panel
NETWORKS = whole(1, 100)  # that differ in their seed
SIZES = Range(
    f"one or more whole numbers from 1 to {2**16:,}",
    lambda values: len(values) > 0 and all(1 <= value <= 2**16 for value in values),
)
COUNT_OR_ALL = Range(
    "a whole number of at least 1, or all", lambda value: value == "all" or 1 <= value < 2**16
)


def _constraints(kind: Any) -> Iterator[Range | Only]:
    """The constraints in the annotation of a field."""
    metadata = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    return (part for part in metadata if isinstance(part, Range | Only))


def show_paragraphs(cls: type) -> type:
    """Show each docstring of a class of options in `--help` as one paragraph, without its line breaks."""
    try:
        source = inspect.getsource(cls)
    except (OSError, TypeError):
        return cls  # run from somewhere without a source, where `--help` shows no docstrings of fields either
    body = ast.parse(textwrap.dedent(source)).body[0].body
    for field, text in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            paragraph = " ".join(text.value.value.split())
            kind = cls.__annotations__[field.target.id]
            cls.__annotations__[field.target.id] = Annotated[kind, tyro.conf.arg(help=paragraph)]
    cls.__doc__ = inspect.cleandoc(cls.__doc__)
    return cls


def hint_constraints(cls: type) -> type:
    """Show the range and the conditions of each option in `--help`, before its default."""
    for name, kind in get_type_hints(cls, include_extras=True).items():
        words = [constraint.words for constraint in _constraints(kind)]

        def hint(default: str, words=words) -> str:
            return f"({'; '.join([*words, f'default: {default}'])})"

        if words:
            cls.__annotations__[name] = Annotated[kind, tyro.conf.arg(help_behavior_hint=hint)]
    return cls


def check_values(cls: type, values: Mapping[str, Any]) -> None:
    """Check values of options against their types and ranges.

    Arguments:
        cls: dataclass of the options.
        values: by option; others are not looked at.

    Raises:
        ValueError: an option of another type or outside its range; the message names it.
    """
    for name, kind in get_type_hints(cls, include_extras=True).items():
        if name not in values:
            continue
        if not _has_type(values[name], kind):
            raise ValueError(f"`{name}` must be {_words(kind)}, got {shorten(values[name])}.")
        for constraint in _constraints(kind):
            if isinstance(constraint, Range):
                constraint.check(name, values[name])


def check_conditions(config: Any, defaults: Mapping[str, Any]) -> None:
    """Check every option of a dataclass against the options it depends on.

    Arguments:
        config: the options.
        defaults: values that stand for the default beside that of the field, by option.

    Raises:
        ValueError: an option without effect beside the others; the message names it.
    """
    for name, kind in get_type_hints(type(config), include_extras=True).items():
        for constraint in _constraints(kind):
            if isinstance(constraint, Only):
                constraint.check(name, config, defaults)


def shorten(value: Any) -> str:
    """A value in at most 100 characters."""
    try:
        text = repr(value)
    except RecursionError:
        text = f"a deeply nested {type(value).__name__}"
    return text if len(text) <= 100 else f"{text[:97]}..."


# What an annotation accepts, and its words; a whole number also stands for a real one.
TYPES: dict[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((float, int), "a number"),
    str: ((str,), "text"),
    Path: ((Path, str), "a path"),
    NoneType: ((NoneType,), "None"),
}


def _has_type(value: Any, kind: Any) -> bool:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _has_type(value, parts[0])
    if origin is Literal:
        return isinstance(value, str) and value in parts
    if origin is tuple:
        return isinstance(value, tuple | list) and all(_has_type(item, parts[0]) for item in value)
    if parts:
        return any(_has_type(value, part) for part in parts)
    return isinstance(value, TYPES[kind][0]) and (kind is bool or not isinstance(value, bool))


def _words(kind: Any) -> str:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _words(parts[0])
    if origin is Literal:
        return f"one of {', '.join(parts)}" if len(parts) > 1 else parts[0]
    if origin is tuple:
        return {int: "whole numbers", str: "texts"}[parts[0]]
    if parts:
        return " or ".join(_words(part) for part in parts if part is not NoneType)
    return TYPES[kind][1]
