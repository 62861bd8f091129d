"""Plans of training runs: TOML files with the options of several variants."""

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

from nets.config import Config, current_names

PLANS = Path(__file__).parents[1] / "configs"
OF_THE_MACHINE = {"seed", "out", "data_path", "cache"}  # options that a plan does not set

Variants = dict[str, dict[str, Any]]  # options of a run, by the name of the variant


def read_plan(plan: str) -> dict[str, Any]:
    """The tables of a plan.

    Arguments:
        plan: name of a file in bench/configs without its ending, or a path.

    Raises:
        ValueError: there is no such plan, or it cannot be read.
    """
    path = PLANS / f"{plan}.toml" if not Path(plan).suffix else Path(plan)
    if not path.is_file():
        names = ", ".join(sorted(path.stem for path in PLANS.glob("*.toml")))
        raise ValueError(f"`plan` must be one of {names}, or a TOML file; got {plan!r}.")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"`plan` {path} cannot be read: {error}.") from None


def read_variants(plan: str) -> Variants:
    """The variants of a plan.

    Each has the options of the table `common` and its own; one with `like` also has those of that variant
    before it. `init_from` names the variant whose network of the same seed it starts from, as plan/variant if
    it is of another plan. A plan may call its variants `arms`.

    Raises:
        ValueError: there is no such plan, it has no variants, or options that a run does not have.
    """
    tables = read_plan(plan)
    common = current_names(tables.get("common", {}))
    variants: Variants = {}
    for name, table in (tables.get("variants") or tables.get("arms") or {}).items():
        options = current_names(table)
        like = options.pop("like", None)
        start = options.get("init_from")
        if like is not None and like not in variants:
            raise ValueError(
                f"`plan` {plan}: variant {name} must be `like` a variant before it, got {like!r}."
            )
        if start is not None and start not in variants and "/" not in start:
            raise ValueError(
                f"`plan` {plan}: variant {name} must `init_from` a variant before it, got {start!r}."
            )
        options = (common if like is None else variants[like]) | options
        unknown = set(options) - {field.name for field in fields(Config)} | set(options) & OF_THE_MACHINE
        if unknown:
            raise ValueError(
                f"`plan` {plan}: variant {name} has {', '.join(sorted(unknown))}, which a run does "
                "not have or a plan does not set."
            )
        variants[name] = {
            option: tuple(value) if isinstance(value, list) else value for option, value in options.items()
        }
    if not variants:
        raise ValueError(f"`plan` {plan} has no variants; it needs tables of the form [variants.NAME].")
    return variants


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
