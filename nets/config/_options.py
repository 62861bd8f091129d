"""How an option says what it can be: its range and the options it depends on, for checks and for `--help`."""

import ast
import inspect
import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
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

    def check(self, name: str, config: Any, defaults: dict[str, Any]) -> None:
        """Raise ValueError if the option lies outside."""
        value = getattr(config, name)
        if value is not None and not self.contains(value):
            raise ValueError(f"`{name}` must be {self.words}, got {value!r}.")


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

    def check(self, name: str, config: Any, defaults: dict[str, Any]) -> None:
        """Raise ValueError if the option is set and the condition does not hold."""
        value, other = getattr(config, name), getattr(config, self.option)
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


def at_least(low: int) -> Range:
    """Whole numbers from `low` on."""
    return Range(f"a whole number of at least {low}", lambda value: isinstance(value, int) and value >= low)


POSITIVE = Range("finite and above zero", lambda value: 0 < value < math.inf)
SECONDS = Range("finite and at least 0 seconds", lambda value: 0 <= value < math.inf)
FRACTION = Range("at least 0 and below 1", lambda value: 0 <= value < 1)
COUNT_OR_ALL = Range(
    "a whole number of at least 1, or all",
    lambda value: value == "all" or (isinstance(value, int) and value >= 1),
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


def check_options(config: Any, defaults: dict[str, Any]) -> None:
    """Check every option of a dataclass against its choices, its range and the options it depends on.

    Arguments:
        config: the options.
        defaults: values that stand for the default beside that of the field, by option.

    Raises:
        ValueError: an option outside its range, or without effect beside the others; the message names it.
    """
    for name, kind in get_type_hints(type(config), include_extras=True).items():
        _check_choice(name, kind, config)
        for constraint in _constraints(kind):
            constraint.check(name, config, defaults)


def _check_choice(name: str, kind: Any, config: Any) -> None:
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    alternatives = [part for part in get_args(kind) or (kind,) if part is not type(None)]
    choices = get_args(kind) if get_origin(kind) is Literal else get_args(alternatives[0])
    literal = get_origin(kind) is Literal or all(get_origin(part) is Literal for part in alternatives)
    value = getattr(config, name)
    if literal and value is not None and value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(choices)}, got {value!r}.")
