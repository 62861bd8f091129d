"""Train every variant of a plan over its seeds, continue interrupted runs, and keep their small files."""

import json
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import output
from bench.config import Accuracy, Experiments, Language
from bench.output import Rows
from bench.training import accuracy, language
from bench.training.plans import Variants, choose_variants, read_plan, read_variants
from bench.training.runs import SIZES, Size
from nets.config import FREE_ON_RESUME, LANGUAGE, LOCAL_PATHS, Config, as_config, resolve
from nets.run import RunFolder, fit, write

DEFAULT_SEEDS = (0, 1, 2)
TRIAL_STEPS = 50
# Files that are kept of a run; weights and checkpoints stay where they were written.
KEPT_FILES = ("config.json", "metrics.jsonl", "curves.png", "predictions.npz")


def main(options: Experiments) -> Rows:
    """Train the runs that are not recorded yet, then print the table of accuracies, or of perplexities;
    returns its rows.

    Raises:
        ValueError: an unknown plan or variant, a plan that cannot be read, or a folder that cannot be written
            to.
    """
    variants = read_variants(options.plan)
    names = choose_variants(options.variants, variants)
    if options.quick:
        return try_variants({name: variants[name] for name in names}, options)
    seeds = options.seeds or read_plan(options.plan).get("seeds", DEFAULT_SEEDS)
    # What cannot be trained is told before hours of training.
    for name in names:
        resolve(as_config(variants[name]))
    plan = Path(options.plan).stem
    results, runs = options.results / plan, options.out / plan
    output.check_folder(results, "results")
    output.check_folder(runs)
    stopped = 0
    # Seed by seed: after the first round every variant has a result.
    for seed in seeds:
        for variant in names:
            name = f"{variant}-seed{seed}"
            if RunFolder(results / name).result():
                check_same_options(results / name, variants[variant])
                print(f"{name}: recorded before")
                continue
            check_free(results / name)
            print(f"{name}: {runs / name}", flush=True)
            of_this_run = {"seed": seed, "data_path": options.data_path, "cache": options.cache}
            of_this_run["out"] = runs / name
            start = variants[variant].get("init_from")
            if start is not None:
                # Of this plan, or of another one: plan/variant.
                folder = runs.parent if "/" in start else runs
                of_this_run["init_from"] = folder / f"{start}-seed{seed}"
            config = Config(**variants[variant] | of_this_run)
            try:
                fit(config)
            except FloatingPointError as error:
                # The other variants are still trained.
                print(f"error: {name}: {error}", file=sys.stderr)
                stopped += 1
                continue
            keep_small_files(runs / name, results / name, start)
    if stopped:
        print(f"{stopped} runs stopped; their folders hold their curves so far", file=sys.stderr)
    if all(resolve(as_config(variants[name])).task in LANGUAGE for name in names):
        return language.main(Language(plan=options.plan, results=options.results, out=results))
    return accuracy.main(Accuracy(results=results, out=results))


def try_variants(variants: Variants, options: Experiments) -> Rows:
    """Train each variant for 50 steps in a temporary folder, and print how long the whole takes at most."""
    rows = []
    for name, values in variants.items():
        # The network that it starts from may be still to come, and takes no time.
        config = resolve(replace(as_config(values), init_from=None, layer_decay=1.0))
        all_rows = config.max_examples or SIZES.get(config.data, Size(0, 0)).train
        if not all_rows:
            raise ValueError(
                f"`plan` {options.plan}: variant {name} must have max_examples, so that its steps can be "
                "counted."
            )
        trial_rows = min(TRIAL_STEPS * config.batch_size, all_rows)
        with tempfile.TemporaryDirectory() as folder:
            trial = replace(
                config,
                epochs=1,
                max_examples=trial_rows,
                test=False,
                cache=options.cache,
                data_path=options.data_path,
                out=Path(folder) / name,
            )
            start = time.perf_counter()
            last_line = fit(trial)
            seconds = time.perf_counter() - start
        rows.append(
            {
                "variant": name,
                "steps": -(-trial_rows // config.batch_size),
                "validation_loss": last_line["validation_loss"],
                "seconds": seconds,
                "hours_of_the_whole_at_most": config.epochs * all_rows / trial_rows * seconds / 3600,
            }
        )
    columns = {"variant": "", "steps": "", "validation_loss": ".4f", "seconds": ".0f"}
    print(output.table(rows, columns | {"hours_of_the_whole_at_most": ".2g"}))
    return rows


def check_same_options(folder: Path, options: dict[str, Any]) -> None:
    """Refuse a recorded run of other options than the plan has now.

    Raises:
        ValueError: an option differs.
    """
    recorded = RunFolder(folder).facts()
    # As JSON holds them: tuples are lists there.
    options = json.loads(json.dumps(options))
    changes = [
        f"`{name}` {recorded.get(name)!r}, now {value!r}"
        for name, value in options.items()
        if name not in FREE_ON_RESUME and recorded.get(name) != value
    ]
    if changes:
        raise ValueError(
            f"`plan`: {folder} was recorded with other options: {', '.join(changes)}; move it away, or name "
            "other --results."
        )


def check_free(folder: Path) -> None:
    """Refuse to record a run where there is something else: nothing is ever replaced.

    Raises:
        ValueError: the folder exists and is not empty, or there is something else of its name.
    """
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise ValueError(
            f"`results` holds {folder}, which is not a finished run; move it away, or name another folder."
        )


def keep_small_files(run: Path, folder: Path, start: str | None = None) -> None:
    """Copy the small files of a finished run, without the folders of this machine; all of them or none.

    Arguments:
        run: its folder.
        folder: of the copy.
        start: the variant whose network it started from, as the plan names it.
    """
    check_free(folder)
    # In the same folder, so that it can be renamed; a copy that was killed leaves it behind.
    draft = folder.with_name(f".{folder.name}.part")
    if draft.is_symlink():
        raise ValueError(f"`results` holds {draft}, which is a link; remove it.")
    draft.mkdir(exist_ok=True)
    for name in KEPT_FILES:
        (draft / name).unlink(missing_ok=True)
        if (run / name).exists():
            shutil.copy2(run / name, draft / name)
    facts = {name: value for name, value in RunFolder(run).facts().items() if name not in LOCAL_PATHS}
    facts["init_from"] = start
    write(draft / "config.json", json.dumps(facts, indent=2) + "\n")
    draft.rename(folder)
