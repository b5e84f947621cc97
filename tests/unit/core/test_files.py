import json
from pathlib import Path

import pytest

from ssna.core import files
from ssna.core.errors import ArtifactError, DataError, SsnaError
from ssna.core.files import new_folder, read_json, write_aside, write_file, write_json

MARKER = "record.json"


def fill(path: Path, content: str = "new") -> None:
    with new_folder(path, MARKER) as aside:
        (aside / MARKER).write_text(content)
        (aside / "below").mkdir()
        (aside / "below" / "file").write_text(content)


def fail_in_the_middle(path: Path, failure: type[BaseException]) -> None:
    with new_folder(path, MARKER) as aside:
        (aside / MARKER).write_text("new")
        raise failure


def content(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


WHOLE = {MARKER: "new", "below/file": "new"}


def test_a_folder_stands_in_its_place_once_the_block_ends(tmp_path):
    fill(tmp_path / "run")
    assert content(tmp_path) == {f"run/{name}": text for name, text in WHOLE.items()}


def test_a_folder_does_not_exist_before_it_is_whole(tmp_path):
    with new_folder(tmp_path / "run", MARKER) as aside:
        (aside / MARKER).write_text("new")
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_in_the_middle_leaves_nothing(tmp_path, failure):
    with pytest.raises(failure):
        fail_in_the_middle(tmp_path / "run", failure)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_in_the_middle_leaves_the_old_folder_whole(tmp_path):
    fill(tmp_path / "run", "old")
    before = content(tmp_path)
    with pytest.raises(ValueError):
        fail_in_the_middle(tmp_path / "run", ValueError)
    assert content(tmp_path) == before


def test_the_old_folder_stays_whole_when_the_new_one_cannot_move_into_place(tmp_path, monkeypatch):
    fill(tmp_path / "run", "old")
    before, rename = content(tmp_path), Path.rename

    def fail_for_aside(self, target):
        if self.suffix == ".aside":
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_aside)
    with pytest.raises(OSError, match="no"):
        fill(tmp_path / "run")
    assert content(tmp_path) == before


def test_the_old_folder_stays_whole_when_flushing_fails(tmp_path, monkeypatch):
    fill(tmp_path / "run", "old")
    before = content(tmp_path)

    def fail(path):
        raise OSError("disk full")

    monkeypatch.setattr(files, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        fill(tmp_path / "run")
    assert content(tmp_path) == before


def test_a_folder_of_the_same_kind_is_replaced_with_nothing_left_of_it(tmp_path):
    with new_folder(tmp_path / "run", MARKER) as aside:
        (aside / MARKER).write_text("old")
        (aside / "old-only").write_text("old")
    fill(tmp_path / "run")
    assert content(tmp_path / "run") == WHOLE


def test_an_empty_folder_is_replaced(tmp_path):
    (tmp_path / "run").mkdir()
    fill(tmp_path / "run")
    assert content(tmp_path / "run") == WHOLE


def test_a_folder_of_another_kind_is_left_alone(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("years of work")
    with pytest.raises(SsnaError, match="holds other files and is left alone"):
        fill(tmp_path / "thesis")
    assert content(tmp_path) == {"thesis/chapter": "years of work"}


def test_a_file_in_the_place_of_the_folder_is_left_alone(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(SsnaError, match="is a file"):
        fill(tmp_path / "run")
    assert (tmp_path / "run").read_text() == "a file"


@pytest.mark.parametrize("name", ["file/run", "file/below/run"])
def test_a_folder_below_a_file_cannot_be_made(tmp_path, name):
    (tmp_path / "file").write_text("a file")
    with pytest.raises(SsnaError, match=rf"{name} cannot be made \(\S+/file is a file\); name another output folder"):
        fill(tmp_path / name)


@pytest.mark.parametrize("above", ["", "new/"])
def test_a_folder_that_may_not_be_written_is_named_with_the_reason(tmp_path, monkeypatch, above):
    def fail(*_, **__):
        raise PermissionError(13, "Permission denied", tmp_path / ".run.x1y2.aside")

    monkeypatch.setattr(files, "mkdtemp", fail)
    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(SsnaError) as caught:
        fill(tmp_path / above / "run")
    assert "aside" not in str(caught.value)
    assert f"{above}run cannot be made ({tmp_path} takes no new folder: Permission denied)" in str(caught.value)


def test_missing_parents_are_made(tmp_path):
    fill(tmp_path / "a" / "b" / "run")
    assert content(tmp_path / "a" / "b" / "run") == WHOLE


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    fill(tmp_path / "run")
    assert (tmp_path / "run").is_symlink()
    assert content(tmp_path / "disk") == WHOLE


def test_the_folder_one_stands_in_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SsnaError, match="name another"):
        fill(Path())
    assert list(tmp_path.iterdir()) == []


def test_a_finished_folder_can_be_read_by_others(tmp_path):
    fill(tmp_path / "run")
    assert (tmp_path / "run").stat().st_mode & 0o755 == 0o755


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    write_file(tmp_path / "f", "old")

    def fail(path):
        raise OSError("disk full")

    monkeypatch.setattr(files, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_file(tmp_path / "f", "new")
    assert content(tmp_path) == {"f": "old"}


def test_a_file_that_cannot_be_written_is_named_and_not_the_one_beside_it(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write_file(tmp_path / "absent" / "f", "new")
    assert caught.value.filename == str(tmp_path / "absent")
    (tmp_path / "file").write_text("a file")
    with pytest.raises(NotADirectoryError) as caught:
        write_file(tmp_path / "file" / "f", "new")
    assert caught.value.filename == str(tmp_path / "file" / "f")


def test_json_comes_back_as_it_was(tmp_path):
    value = {"a": [1, 2.5, None, "ü"], "b": {"c": True}}
    write_json(tmp_path / "v.json", value)
    assert read_json(tmp_path / "v.json") == value


def test_a_number_that_json_lacks_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "v.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damaged", [b"", b"{", b"[1]", b'"text"', b"\xff\xfe{}", b"null"])
def test_a_damaged_json_file_is_named_in_one_line(tmp_path, damaged):
    (tmp_path / "v.json").write_bytes(damaged)
    with pytest.raises(ArtifactError, match=r"v\.json.*damaged") as caught:
        read_json(tmp_path / "v.json")
    assert "\n" not in str(caught.value)


def test_a_missing_json_file_raises_the_error_asked_for(tmp_path):
    with pytest.raises(DataError, match=r"no folder that `ssna x` made \(there is no v\.json\)"):
        read_json(tmp_path / "v.json", DataError, maker="ssna x")
    with pytest.raises(ArtifactError, match=r"absent does not exist; name a folder that `ssna` made"):
        read_json(tmp_path / "absent" / "v.json")


def test_a_folder_of_runs_is_told_the_first_three_of_them(tmp_path):
    for name in ("b", "a", "grid/c", "d", ".unfinished"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "v.json").write_text("{}")
    names = ", ".join(str(tmp_path / name) for name in ("a", "b", "d"))
    with pytest.raises(ArtifactError) as caught:
        read_json(tmp_path / "v.json", runs="v.json")
    made = "is no folder that `ssna` made (there is no v.json)"
    assert str(caught.value) == f"{tmp_path} {made}; name a run below it: {names} and 1 more"
    with pytest.raises(ArtifactError) as caught:
        read_json(tmp_path / "v.json")
    assert str(caught.value) == f"{tmp_path} {made}"


def test_json_is_readable_by_people(tmp_path):
    write_json(tmp_path / "v.json", {"a": "ü"})
    assert (tmp_path / "v.json").read_text(encoding="utf-8") == json.dumps(
        {"a": "ü"}, indent=2, ensure_ascii=False
    ) + "\n"


def test_a_file_written_aside_takes_its_place_once_the_block_ends(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with write_aside(path) as aside, aside.open("w") as file:
        file.write("new")
        assert path.read_text() == "old"
    assert content(tmp_path) == {"file": "new"}


def write_half(path: Path, failure: type[BaseException]) -> None:
    with write_aside(path) as aside:
        aside.write_text("ne")
        raise failure


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_while_a_file_is_written_aside_leaves_the_old_one_alone(tmp_path, failure):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(failure):
        write_half(path, failure)
    assert content(tmp_path) == {"file": "old"}
