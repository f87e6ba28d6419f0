"""Settings: options over environment over file over defaults, and every mistake with its place."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from api.settings import HostPort, LogFormat, MeshSettings, PortRange, SettingsError, doubtful_variables, load_settings


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch):
    for name in MeshSettings.model_fields:
        monkeypatch.delenv(f"MSM_{name.upper()}", raising=False)


def file_with(folder: Path, text: str, name: str = "msm.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def problem_of(config: Path | None = None, **options: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(config, options)
    return str(caught.value)


def test_everything_listens_on_loopback_unless_told_otherwise():
    settings = load_settings()
    assert {settings.rtsp.host, settings.api.host, settings.xds.host, *settings.media_address} == {"127.0.0.1"}


def test_every_setting_has_a_description():
    assert all(field.description for field in MeshSettings.model_fields.values())


def test_options_win_over_the_environment_over_the_file_over_defaults(tmp_path, monkeypatch):
    path = file_with(tmp_path, "rtsp: 10.0.0.1:1\napi: 10.0.0.1:2\nxds: 10.0.0.1:3\n")
    monkeypatch.setenv("MSM_RTSP", "10.0.0.2:1")
    monkeypatch.setenv("MSM_API", "10.0.0.2:2")
    settings = load_settings(path, {"rtsp": "10.0.0.3:1"})
    assert [str(address) for address in (settings.rtsp, settings.api, settings.xds)] == [
        "10.0.0.3:1",
        "10.0.0.2:2",
        "10.0.0.1:3",
    ]
    assert settings.media_ports == PortRange(20000, 23999)


def test_options_that_are_not_given_change_nothing(monkeypatch):
    monkeypatch.setenv("MSM_RTSP", "[::1]:5")
    monkeypatch.setenv("MSM_ROUTE", "/a=rtsp://h/")
    settings = load_settings(None, {"rtsp": None, "route": ()})
    assert settings.rtsp == HostPort(host="::1", port=5)
    assert settings.route == ("/a=rtsp://h/",)


def test_lists_in_the_environment_are_one_text(monkeypatch):
    monkeypatch.setenv("MSM_MEDIA_ADDRESS", "192.0.2.1,2001:DB8::1")
    monkeypatch.setenv("MSM_ROUTE", "/a=rtsp://h/x,y  /b=rtsp://h/")
    monkeypatch.setenv("MSM_FILE", "mesh.yaml:/etc/mesh")
    monkeypatch.setenv("MSM_MEDIA_PORTS", "30000-30999")
    settings = load_settings()
    assert settings.media_address == ("192.0.2.1", "2001:db8::1")
    assert settings.route == ("/a=rtsp://h/x,y", "/b=rtsp://h/")
    assert settings.file == (Path("mesh.yaml"), Path("/etc/mesh"))
    assert settings.media_ports == PortRange(30000, 30999)


def test_groups_are_a_network(monkeypatch):
    assert load_settings().multicast_groups is None
    monkeypatch.setenv("MSM_MULTICAST_GROUPS", "239.1.2.0/24")
    monkeypatch.setenv("MSM_MULTICAST_TTL", "9")
    settings = load_settings()
    assert (settings.multicast_groups, settings.multicast_ttl) == (IPv4Network("239.1.2.0/24"), 9)


def test_a_variable_that_is_empty_is_not_set(monkeypatch):
    monkeypatch.setenv("MSM_API", "")
    assert load_settings().api.port == 8080


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("msm.yaml", "route: ['/a=rtsp://h/']\nlog_format: json\nsession_timeout: 30\n"),
        ("msm.toml", 'route = ["/a=rtsp://h/"]\nlog_format = "json"\nsession_timeout = 30\n'),
    ],
)
def test_a_file_is_yaml_or_toml(tmp_path, name, text):
    settings = load_settings(file_with(tmp_path, text, name))
    assert (settings.route, settings.log_format, settings.session_timeout) == (("/a=rtsp://h/",), LogFormat.JSON, 30)


def test_names_in_a_file_are_written_as_options_or_as_variables(tmp_path):
    settings = load_settings(file_with(tmp_path, "log-format: json\nsession_timeout: 30\n"))
    assert (settings.log_format, settings.session_timeout) == (LogFormat.JSON, 30)


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        ("lobby", "--route: wants PATH=URL"),
        (
            "/lobby=http://ann:s3cret@192.0.2.10/",
            "--route: /lobby: the URL of the camera begins with rtsp:// or rtsps://",
        ),
        ("/lobby=rtsp://ann:s3cret@192.0.2.10:99999/", "--route: /lobby: after the host comes nothing or a port"),
    ],
)
def test_a_route_that_cannot_be_used_is_a_wrong_setting_and_its_password_stays_unsaid(route, reason):
    with pytest.raises(SettingsError) as raised:
        load_settings(None, {"route": (route,)})
    assert str(raised.value).startswith(reason)
    assert "s3cret" not in str(raised.value)


def test_a_path_that_is_given_twice_is_a_wrong_setting(monkeypatch):
    monkeypatch.setenv("MSM_ROUTE", "/a=rtsp://192.0.2.10/ /a=rtsp://192.0.2.11/")
    with pytest.raises(SettingsError, match="MSM_ROUTE: /a: this path is given twice"):
        load_settings()


def test_a_variable_that_looks_like_a_setting_is_doubtful():
    known = [f"MSM_{name.upper()}" for name in MeshSettings.model_fields]
    others = ["MSM_XDS_SERVICE_HOST", "MSM_API_PORT_8080_TCP", "MSM_API_PORT", "MSM_TEST_PROCESS", "RTPS", "HOME"]
    assert doubtful_variables([*known, *others, "msm_rtsp"]) == []
    assert doubtful_variables(["MSM_RTPS", "MSM_FILES"]) == [
        "MSM_FILES: there is no such setting (did you mean MSM_FILE?)",
        "MSM_RTPS: there is no such setting (did you mean MSM_RTSPS?)",
    ]


def test_an_empty_file_sets_nothing(tmp_path):
    assert load_settings(file_with(tmp_path, "# nothing yet\n")).api.port == 8080


def test_a_mistake_is_told_with_its_place(tmp_path, monkeypatch):
    path = file_with(tmp_path, "xds: nowhere\n")
    monkeypatch.setenv("MSM_API", "8080")
    lines = problem_of(path, rtsp="::1:554").splitlines()
    assert sorted(line.partition(': "')[0] for line in lines) == sorted(["--rtsp", "MSM_API", f"{path}: xds"])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"media_ports": "1-3"}, "--media-ports: media ports 1-3 hold no slot"),
        ({"media_ports": "9-1"}, "are not a range of UDP ports"),
        ({"media_ports": "many"}, "is not FIRST-LAST"),
        ({"media_address": ("192.0.2.1", "192.0.2.2")}, "one IPv4 address, one IPv6 address, or one of each"),
        ({"media_address": ("camera",)}, "'camera' does not appear to be an IPv4 or IPv6 address"),
        ({"multicast_groups": "239.1.2.3/24"}, '--multicast-groups: "239.1.2.3/24" is no network of IPv4'),
        ({"multicast_groups": "192.0.2.0/24"}, "192.0.2.0/24 is no network of multicast groups; 239.0.0.0/8 is"),
        ({"multicast_groups": "224.0.0.0/16"}, "224.0.0.0/24 is for the network's own protocols"),
        ({"multicast_groups": "ff15::/120"}, "is no network of IPv4, for example 239.1.2.0/24"),
        ({"multicast_ttl": 256}, "--multicast-ttl: Input should be less than or equal to 255"),
        ({"session_timeout": 1}, "--session-timeout: Input should be greater than or equal to 5"),
        ({"envoy_workers": 0}, "--envoy-workers: Input should be greater than or equal to 1"),
        ({"log_level": "loud"}, "--log-level: Input should be 'debug', 'info', 'warning' or 'error'"),
        ({"rtsp_node": ""}, "--rtsp-node"),
    ],
)
def test_a_value_that_cannot_be_used_says_why(options, reason):
    assert reason in problem_of(**options)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rtps: 127.0.0.1:1\n", 'rtps: there is no such setting (did you mean "rtsps"?)'),
        ("camera: 127.0.0.1:1\n", "camera: there is no such setting; known are rtsp, rtsps"),
        ("log-level: info\nlog_level: info\n", "log_level is there twice, once with - and once with _"),
        ("- a list\n", "a settings file is a mapping of names to values"),
        ("a: [\n", "cannot be read"),
        ("x" * ((1 << 20) + 1), "larger than"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path, text, reason):
    path = file_with(tmp_path, text)
    problem = problem_of(path)
    assert problem.startswith(str(path))
    assert reason in problem


def test_a_file_that_is_not_there_says_so(tmp_path):
    path = tmp_path / "none.yaml"
    assert problem_of(path) == f"{path}: No such file or directory"


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load_settings().rtsp = HostPort(host="::", port=1)  # type: ignore[misc] - that is the point


def test_two_proxies_of_one_host_have_different_names_unless_told_otherwise():
    names = {load_settings(None, {"rtsp": f"127.0.0.1:{port}"}).rtsp_node for port in (0, 8554, 8555)}
    assert len(names) == 3
    assert load_settings(None, {"rtsp_node": "mine"}).rtsp_node == "mine"


def test_a_mistake_elsewhere_is_not_told_as_one_of_the_name_too():
    assert problem_of(rtsp="nonsense").count("\n") == 0


def test_rtsps_has_a_port_of_its_own_and_needs_a_certificate(tmp_path):
    assert load_settings().rtsps is None
    settings = load_settings(None, {"rtsps": "0.0.0.0:322", "rtsps_certificate": tmp_path / "tls.pem"})
    assert settings.rtsps == HostPort(host="0.0.0.0", port=322)
    assert settings.rtsps_key is None
    assert "RTSPS needs a certificate: --rtsps-certificate" in problem_of(rtsps="0.0.0.0:322")
    assert problem_of(rtsps_key=Path("tls.key")).startswith("--rtsps-key: the private key of which certificate?")


def test_settings_show_no_password_of_a_camera():
    settings = MeshSettings(route=("/lobby=rtsp://ann:s3cret@192.0.2.10/",))
    assert "s3cret" not in f"{settings!r} {settings}"
