"""What the page on operating a mesh says is true."""

from __future__ import annotations

import re
from pathlib import Path

from api.settings import MeshSettings, load_settings
from rtsp_filter.balancing import HostEvent

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operating.md").read_text()


def test_the_settings_file_is_good_and_has_every_setting(tmp_path):
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "msm.yaml"
    path.write_text(example)
    assert load_settings(path).model_fields_set == set(MeshSettings.model_fields)


def test_the_variables_are_good(monkeypatch):
    found = dict(re.findall(r"^(MSM_[A-Z_]+)='?(.*?)'?$", PAGE, re.MULTILINE))
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (len(found), len(settings.media_address), len(settings.route), len(settings.file)) == (3, 2, 2, 2)


def test_every_log_line_that_it_explains_is_one_of_ours():
    section = PAGE.partition("## What log lines mean")[2]
    first_cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    lines = [line for cell in first_cells for line in re.findall(r"`([^`]+)`", cell)]
    code = "".join(
        path.read_text() for room in ("api", "rtsp_filter", "xds_server") for path in (ROOT / room).rglob("*.py")
    )
    assert len(lines) > 15
    # Which state a session is in, and what becomes of an endpoint, is put in by the code.
    composed = {"session is playing"} | {f"an endpoint {event.value}" for event in HostEvent}
    assert [line for line in lines if f'"{line}"' not in code and line not in composed] == []
