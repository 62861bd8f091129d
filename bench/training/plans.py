"""Plans of training runs: TOML files with the options of several variants."""

import re
import tomllib
from pathlib import Path
from typing import Any

from nets.config import OPTIONS, Config, check_values, current_names, shorten
from optics._files import read_text

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
PLAN_BYTES = 2**20  # the longest plan that is read
PLANS = Path(__file__).parents[1] / "configs"
OF_THE_MACHINE = {"seed", "out", "data_path", "cache"}  # options that a plan does not set

Variants = dict[str, dict[str, Any]]  # options of a run, by the name of the variant


def read_plan(plan: str) -> dict[str, Any]:
    """The tables of a plan.

    Arguments:
        plan: name of a file in bench/configs without its ending, or a path.

    Raises:
        ValueError: there is no such plan, it cannot be read, or its tables are of another kind.
    """
    path = PLANS / f"{plan}.toml" if not Path(plan).suffix else Path(plan)
    if not path.exists():
        names = ", ".join(sorted(path.stem for path in PLANS.glob("*.toml")))
        if not names:
            raise ValueError(
                "`plan` must be a TOML file, such as those in bench/configs of the source, which a wheel "
                f"does not hold; got {plan!r}."
            )
        raise ValueError(f"`plan` must be one of {names}, or a TOML file; got {plan!r}.")
    check_name(f"`plan` {plan}: its file", path.stem)
    try:
        tables = tomllib.loads(read_text(path, PLAN_BYTES, "plan"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(f"`plan` {path} cannot be read: {error}.") from None
    for name in ("common", "tune", "variants", "arms"):
        if not isinstance(tables.get(name, {}), dict):
            raise ValueError(f"`plan` {plan}: {name} must be a table, got {shorten(tables[name])}.")
    seeds = tables.get("seeds", [])
    if not isinstance(seeds, list):
        raise ValueError(f"`plan` {plan}: seeds must be a list of whole numbers, got {shorten(seeds)}.")
    for seed in seeds:
        _check_options(f"`plan` {plan}: seeds", {"seed": seed})
    return tables


def read_variants(plan: str) -> Variants:
    """The variants of a plan.

    Each has the options of the table `common` and its own; one with `like` also has those of that variant
    before it. `init_from` names the variant whose network of the same seed it starts from, as plan/variant if
    it is of another plan. A plan may call its variants `arms`.

    Raises:
        ValueError: there is no such plan, it has no variants, a name that is not one, or options or values
            that a run does not have.
    """
    tables = read_plan(plan)
    common = current_names(tables.get("common", {}))
    variants: Variants = {}
    for name, table in (tables.get("variants") or tables.get("arms") or {}).items():
        variant = f"`plan` {plan}: variant {shorten(name)[1:-1]}"
        # Names of variants become names of folders, which are written and replaced.
        check_name(variant, name)
        if not isinstance(table, dict):
            raise ValueError(f"{variant} must be a table, got {shorten(table)}.")
        options = current_names(table)
        like = options.pop("like", None)
        start = options.get("init_from")
        if like is not None and (not isinstance(like, str) or like not in variants):
            raise ValueError(f"{variant} must be `like` a variant before it, got {shorten(like)}.")
        if start is not None:
            _check_start(variant, start, variants)
        options = (common if like is None else variants[like]) | options
        unknown = set(options) - set(OPTIONS) | set(options) & OF_THE_MACHINE
        if unknown:
            raise ValueError(
                f"{variant} has {', '.join(sorted(unknown))}, which a run does not have or a plan does not "
                "set."
            )
        variants[name] = {
            option: tuple(value) if isinstance(value, list) else value for option, value in options.items()
        }
        _check_options(variant, variants[name])
    if not variants:
        raise ValueError(f"`plan` {plan} has no variants; it needs tables of the form [variants.NAME].")
    return variants


def check_name(owner: str, name: str) -> None:
    """Refuse a name that could be a path.

    Raises:
        ValueError: it has other characters than letters, digits, dots, dashes and underscores, or begins with
            a dot.
    """
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{owner} must have a name of letters, digits, '.', '-' and '_' that does not begin with a dot, "
            f"got {shorten(name)}."
        )


def _check_start(variant: str, start: Any, variants: Variants) -> None:
    """Refuse a start that is neither a variant before this one nor plan/variant."""
    parts = start.split("/") if isinstance(start, str) else []
    if len(parts) == 2:
        for part in parts:
            check_name(f"{variant}: `init_from`", part)
    elif len(parts) != 1 or start not in variants:
        raise ValueError(f"{variant} must `init_from` a variant before it, got {shorten(start)}.")


def _check_options(owner: str, options: dict[str, Any]) -> None:
    try:
        check_values(Config, options)
    except ValueError as error:
        raise ValueError(f"{owner}: {error}") from None


def choose_variants(names: tuple[str, ...], variants: Variants) -> list[str]:
    """The variants that the option `variants` names; all of them by default.

    Raises:
        ValueError: a name that the plan does not have.
    """
    unknown = [name for name in names if name not in variants]
    if unknown:
        raise ValueError(
            f"`variants` must be of the plan, which has {', '.join(variants)}; got {', '.join(unknown)}."
        )
    return [*(names or variants)]
