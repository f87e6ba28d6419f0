"""Files and folders become a slice, or every reason why not."""

import os
from pathlib import Path

import pytest

from mesh.documents import DocumentErrors
from xds_server.sources import check, load, reading
from xds_server.sources.reading import files_in, folders_to_watch, states

BACKEND = """\
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {name: %s}
spec: {endpoints: [{name: a, address: 192.0.2.1}]}
"""


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_file_and_a_folder_make_one_slice(tmp_path: Path) -> None:
    file = _write(tmp_path / "one.txt", BACKEND % "one")
    _write(tmp_path / "more/two.yaml", BACKEND % "two")
    _write(tmp_path / "more/deep/three.yml", BACKEND % "three")
    part = load([file, tmp_path / "more"])
    assert sorted(name.name for name in part.backends) == ["one", "three", "two"]
    assert part.source == "files"
    assert check([file, tmp_path / "more"]) == ()


def test_a_folder_means_its_documents_only(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "c.json", ".b.yaml.swp", ".hidden.yaml", "..data/d.yaml", "sub/e.yaml"):
        _write(tmp_path / name, "")
    assert [str(file.relative_to(tmp_path)) for file in files_in(tmp_path)] == ["a.yml", "b.yaml", "sub/e.yaml"]


def test_references_go_across_files(tmp_path: Path) -> None:
    _write(tmp_path / "backend.yaml", BACKEND % "lobby")
    route = _write(
        tmp_path / "route.yaml",
        "apiVersion: mediastreamingmesh.io/v1alpha1\nkind: RTSPRoute\nmetadata: {name: a}\n"
        "spec: {rules: [{backendRefs: [{kind: Backend, name: lobby}]}]}\n",
    )
    assert check([tmp_path]) == ()
    (problem,) = check([route])
    assert str(problem) == (
        f"{route}:4: RTSPRoute default/a: spec.rules[0].backendRefs[0].name: there is no Backend default/lobby"
    )


def test_everything_unreadable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_FILE_CHARACTERS", 10)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"a: \xe9")
    large = _write(tmp_path / "large.yaml", "x" * 11)
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    dangling = tmp_path / "dangling.yaml"
    dangling.symlink_to(tmp_path / "nowhere")
    missing = tmp_path / "missing.yaml"
    with pytest.raises(DocumentErrors) as caught:
        load([missing, tmp_path])
    assert sorted(str(problem) for problem in caught.value.problems) == [
        f"{dangling}: cannot be read: No such file or directory",
        f"{large}: larger than 10 bytes",
        f"{latin}: not UTF-8 text (at byte 3)",
        f"{missing}: there is no such file or folder",
        f"{pipe}: not a regular file",
    ]


def test_a_state_tells_a_replaced_file_from_the_one_before(tmp_path: Path) -> None:
    file = _write(tmp_path / "a.yaml", "a")
    before = states([tmp_path])
    assert states([tmp_path]) == before
    os.utime(file, ns=(1, 1))
    touched = states([tmp_path])
    assert touched != before
    new = _write(tmp_path / "new", "a")
    os.utime(new, ns=(1, 1))
    new.rename(file)
    assert states([tmp_path]) != touched


def test_the_folders_to_watch_are_all_in_which_something_may_change(tmp_path: Path) -> None:
    _write(tmp_path / "a/b/c.yaml", "")
    watched = {folder for folder, _ in folders_to_watch([tmp_path / "a", tmp_path / "gone/x/y.yaml"])}
    assert watched == {tmp_path, tmp_path / "a", tmp_path / "a/b"}
