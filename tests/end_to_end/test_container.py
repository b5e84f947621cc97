"""The container's files. Its command and its probe run as they stand: as its user, on a root that is read-only."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from compose_spec import PyCompose

from container import ROOT, last, stages, variables, words

SERVICE = stages()["service"]
COMPOSE = PyCompose.from_yaml((ROOT / "compose.yaml").read_text()).to_dict()
SYSTEM = ("usr", "lib", "lib64", "bin", "etc", "dev", "proc")
CALLED_ALONE = r"""
set -eu
root=$ROOT
mount -t tmpfs none $root
bind() { mkdir -p "$root$2"; mount --rbind "$1" "$root$2"; }
for name in $SYSTEM; do if test -e /$name; then bind /$name /$name; fi; done
mkdir $root/tmp; mount -t tmpfs -o mode=1777 none $root/tmp
mkdir $root/state; mount -t tmpfs -o uid=10001,gid=10001 none $root/state
bind $PREFIX $PREFIX; bind $BASE $BASE; bind $SOURCE /source; bind $RUN /runs/best
mount -o remount,ro $root
python -c 'import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh22x", b"lo", 1))'  # the loopback is up
in=(chroot --userspec="$USER_OF_IMAGE" $root env -i PATH="$PREFIX/bin:$PATH" PYTHONPATH=/source $VARIABLES)
"${in[@]}" sh -c 'for folder in / /opt /runs/best /source; do ! touch $folder/x 2>/dev/null; done'
"${in[@]}" "$@" &
server=$!
ready=
for try in $(seq 240); do
  if "${in[@]}" python -c "$PROBE" 2>/dev/null; then ready=yes; break; fi
  kill -0 $server
  sleep 0.5
done
test "$ready"
"${in[@]}" python -c 'from urllib.request import Request, urlopen
asked = Request("http://localhost:8000/recommend", b"{\"history\": [\"i1\"]}", {"Content-Type": "application/json"})
print(urlopen(asked).read().decode())'
kill -TERM $server
wait $server
echo ended with $?
"""


def test_the_image_is_not_that_of_root_and_takes_what_the_constraints_name():
    assert last(SERVICE, "USER") == "10001:10001"
    assert [rest for instruction, rest in stages()["build"] if "pip install" in rest] == [
        "/opt/ssna/bin/pip install --constraint constraints.txt torch",
        "/opt/ssna/bin/pip install --constraint constraints.txt '.[serve,demo]'",
    ]
    assert "\ntorch==" in (ROOT / "constraints.txt").read_text()


def test_all_that_the_build_copies_is_let_through_by_the_ignore_file():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {name for instruction, rest in stages()["build"] if instruction == "COPY" for name in rest.split()[:-1]}
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_compose_serves_the_demo_read_only_and_on_this_machine_alone():
    (service,) = COMPOSE["services"].values()
    assert service["build"]["target"] in stages()
    assert service["ports"] == ["127.0.0.1:8000:8000"]
    assert service["read_only"] is True
    assert {path.partition(":")[2] for path in service["volumes"]} == {last(SERVICE, "VOLUME")}
    assert set(service["tmpfs"]) == {variables(SERVICE)["HOME"]}


@pytest.mark.long
@pytest.mark.fork
def test_the_image_s_command_serves_on_a_root_that_is_read_only(run_folders, tmp_path):
    if os.getuid() or subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True).returncode:
        pytest.skip("namespaces of its own need root")
    shutil.copytree(run_folders["ssna"], tmp_path / "run")
    (tmp_path / "root").mkdir()
    chmod(tmp_path / "run")
    given = variables(SERVICE)
    given.pop("PATH")
    env = {
        **os.environ, "ROOT": str(tmp_path / "root"), "SYSTEM": " ".join(SYSTEM), "PREFIX": sys.prefix,
        "BASE": sys.base_prefix, "SOURCE": str(ROOT / "src"), "RUN": str(tmp_path / "run"),
        "USER_OF_IMAGE": last(SERVICE, "USER"), "PROBE": words(SERVICE, "HEALTHCHECK")[2],
        "VARIABLES": " ".join(f"{name}={value}" for name, value in given.items()),
        "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
    }  # fmt: skip
    command = [*words(SERVICE, "ENTRYPOINT"), *words(SERVICE, "CMD")]
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "bash", "-c", CALLED_ALONE, "bash", *command],
        env=env, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert lines[0] == "best is served at http://0.0.0.0:8000"
    assert lines[1].startswith('{"items":[{"item":')
    assert lines[-1] == "ended with 0"


def chmod(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
