"""The workflow of a code host runs what anyone can run: commands of the pages and scripts of .ci, on the
versions that the project promises.
"""

import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FILE = ROOT / ".github" / "workflows" / "ci.yml"
JOBS = yaml.safe_load(FILE.read_text(encoding="utf-8"))["jobs"]
STEPS = [(name, step) for name, job in JOBS.items() for step in job["steps"]]
COMMANDS = [(name, step["run"]) for name, step in STEPS if "run" in step]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGES = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "CONTRIBUTING.md"))


def test_jobs():
    assert JOBS.keys() == {"lint", "oldest", "newest", "tracking", "wheel"}
    for name, job in JOBS.items():
        assert job["timeout-minutes"] <= 120, name
        uses = [step["uses"] for step in job["steps"] if "uses" in step]
        assert uses[0].startswith("actions/checkout@") and all(re.search(r"@v\d+$", use) for use in uses)
    # Nothing is published, and the job's token may read alone.
    workflow = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"} and "secrets" not in FILE.read_text(
        encoding="utf-8"
    )


def test_both_ends_of_the_versions_are_tested():
    def python(job):
        return next(step["with"]["python-version"] for step in job["steps"] if "python" in str(step))

    named = [c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if "Python :: 3." in c]
    assert python(JOBS["oldest"]) == named[0] == PROJECT["requires-python"].removeprefix(">=")
    assert python(JOBS["newest"]) == named[-1]
    assert JOBS["wheel"]["strategy"]["matrix"]["python-version"] == named
    # The oldest run under the pins, the newest without.
    assert "constraints.txt" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert all("constraint" not in str(JOBS[name]).lower() for name in ("newest", "tracking", "wheel"))


@pytest.mark.parametrize(("job", "command"), COMMANDS)
def test_a_command_is_one_that_the_project_has(job, command):
    """A script that can be run, a line of a page, or an installation of what the project names."""
    words = shlex.split(command)
    if words[0].startswith(".ci/"):
        script = ROOT / words[0]
        assert os.access(script, os.X_OK)
        assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    elif words[:2] == ["pip", "install"] and "&&" not in words:
        names = set(re.findall(r"\[([^\]]*)\]", command)[0].split(",")) if "[" in command else set()
        assert names <= PROJECT["optional-dependencies"].keys()
        developers = " ".join(PROJECT["optional-dependencies"]["dev"])
        assert names or all(re.search(rf"\b{tool}\b", developers) for tool in words[2:])
    elif words[0] == "pytest":
        assert all((ROOT / word).exists() for word in words if word.startswith("tests/"))
    elif words[0] == "pre-commit":
        hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
        assert [hook["id"] for hook in hooks["repos"][0]["hooks"]] == ["ruff-format", "ruff", "end-of-file"]
    else:
        assert f"\n{command}\n" in PAGES


def test_the_readme_command_is_run():
    assert 'pip install -e ".[test]" && pytest' in dict(COMMANDS).values()


def test_the_wheel_is_tried_with_commands_of_the_pages():
    script = (ROOT / ".ci" / "wheel").read_text(encoding="utf-8")
    for command in ("python -m nets.train", "python -m bench fidelity --quick"):
        assert command in script
    assert "python -m nets.train" in PAGES
    for tool in ("build", "twine", "check-wheel-contents"):
        assert any(entry.startswith(tool) for entry in PROJECT["optional-dependencies"]["dev"])
