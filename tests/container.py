"""The Dockerfile's stages and instructions; its steps, without a daemon.

    python tests/container.py FOLDER

does in FOLDER what the stages ``build`` and ``trained`` do in a container: a fresh environment in ``opt/ssna``, and the
trained demo in ``demo``.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "Dockerfile"
Instructions = list[tuple[str, str]]


def stages(path: Path = DOCKERFILE) -> dict[str, Instructions]:
    """Stage -> its instructions, each with what follows it; a stage begins with all of the stage that it is from."""
    found: dict[str, Instructions] = {}
    text = re.sub(r"(?m)^#.*\n", "", path.read_text(encoding="utf-8")).replace("\\\n", " ")
    for line in filter(str.strip, text.splitlines()):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            current = found[name] = [*found.get(base, [])]
        current.append((instruction, " ".join(rest.split())))
    return found


def last(stage: Instructions, instruction: str) -> str:
    return [rest for found, rest in stage if found == instruction][-1]


def words(stage: Instructions, instruction: str) -> list[str]:
    """Of an instruction in its JSON form."""
    return json.loads(last(stage, instruction)[last(stage, instruction).index("[") :])


def variables(stage: Instructions) -> dict[str, str]:
    """What ENV sets, as it is written."""
    pairs = [pair.partition("=") for found, rest in stage if found == "ENV" for pair in rest.split()]
    return {name: value for name, _, value in pairs}


def do_steps(stage: Instructions, folder: Path) -> None:
    """COPY and RUN, with ``folder`` for the root; what the machine itself has stays."""
    here = folder / "build"
    here.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, **variables(stage)}
    env.pop("PYTHONPATH", None)
    for instruction, rest in stage:
        if instruction == "COPY":
            for name in rest.split()[:-1]:
                copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
                copy(ROOT / name, here / name)
        if instruction == "RUN":
            command = re.sub(r"(?<=\s)/(opt/ssna|demo)\b", rf"{folder}/\1", f" {rest}")
            print(f"$ {command}", flush=True)
            subprocess.run(["sh", "-ec", command], cwd=here, env=env, check=True)


if __name__ == "__main__":
    do_steps(stages()["trained"], Path(sys.argv[1]).resolve())
