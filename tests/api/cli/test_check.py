"""`msm check`: what is good passes, and every mistake is told with its place."""

from __future__ import annotations

from typer.testing import CliRunner

from api.cli import make_app
from tests.api.planes import DOCUMENTS


def check(*arguments: object):
    return CliRunner().invoke(make_app(), ["check", *map(str, arguments)])


def test_good_documents_are_counted(tmp_path):
    path = tmp_path / "mesh.yaml"
    path.write_text(DOCUMENTS)
    result = check("-f", path)
    assert (result.exit_code, result.output) == (0, "good: 1 route, 2 backends\n")


def test_files_and_folders_are_read_together(tmp_path):
    route, backends = DOCUMENTS.split("---", 1)
    folder = tmp_path / "backends"
    folder.mkdir()
    (folder / "all.yml").write_text(backends)
    path = tmp_path / "route.yaml"
    path.write_text(route)
    assert check("-f", path, "--file", folder).exit_code == 0
    assert check("-f", path).exit_code == 1


def test_every_mistake_is_told_with_file_line_and_field(tmp_path):
    path = tmp_path / "mesh.yaml"
    path.write_text(DOCUMENTS.replace("hostnames:", "hostname:").replace("port: 8554", "port: 85540"))
    result = check("-f", path)
    assert result.exit_code == 1
    first, second = result.stderr.splitlines()
    assert first.startswith(f"{path}:6: RTSPRoute site/lobby: spec.hostname: ")
    assert second.startswith(f"{path}:23: Backend site/pair: spec.endpoints[1].port: ")
    assert result.stdout == ""


def test_a_reference_to_nothing_names_itself(tmp_path):
    path = tmp_path / "mesh.yaml"
    path.write_text(DOCUMENTS.replace("name: far, weight", "name: fra, weight"))
    result = check("-f", path)
    assert result.exit_code == 1
    assert "fra" in result.stderr


def test_a_file_that_is_not_there_is_a_mistake(tmp_path):
    result = check("-f", tmp_path / "none.yaml")
    assert (result.exit_code, result.stderr) == (1, f"{tmp_path / 'none.yaml'}: there is no such file or folder\n")


def test_files_are_arguments_too(tmp_path):
    route, backends = DOCUMENTS.split("---", 1)
    paths = [tmp_path / "route.yaml", tmp_path / "backends.yaml"]
    for path, text in zip(paths, (route, backends), strict=True):
        path.write_text(text)
    assert check(*paths).output == "good: 1 route, 2 backends\n"
    assert check(paths[0], "-f", paths[1]).exit_code == 0


def test_nothing_to_check_is_a_mistake(tmp_path):
    empty = tmp_path / "empty.yaml"
    empty.write_text("# nothing yet\n")
    for path in (empty, tmp_path):
        result = check(path)
        assert (result.exit_code, result.stdout) == (1, "")
        assert f"there is no route and no backend in {path}" in result.stderr


def test_no_file_is_a_wrong_call():
    assert check().exit_code == 2
