"""Settings of a mesh: one frozen group, from options, environment and file.

One name for each: the setting `media_ports` is the option `--media-ports`, the variable `MSM_MEDIA_PORTS` and the key
`media_ports` or `media-ports` of a file (`--config`, YAML or TOML). Options win over the environment, which wins over
the file, which wins over the defaults. Whatever is wrong is said with the place that it comes from.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, SettingsConfigDict

from api.addresses import HostPort, PortRange, multicast_groups
from mesh.documents import RouteOptionError, route_options
from mesh.documents.messages import suggestion
from xds_server.relays.slots import SlotLayout

__all__ = [
    "HostPort",
    "LogFormat",
    "LogLevel",
    "MeshSettings",
    "PortRange",
    "SettingsError",
    "doubtful_variables",
    "load_settings",
]

ENVIRONMENT_PREFIX = "MSM_"
# More event loops than this share one machine's caches for nothing; each costs every listener once more.
MAX_DEFAULT_WORKERS = 4
MAX_WORKERS = 64
# RFC 2326 section 12.37 makes 60 s the custom. Below 5 s one lost packet ends a session; beyond a day none ever ends.
DEFAULT_SESSION_TIMEOUT = 60
MIN_SESSION_TIMEOUT = 5
MAX_SESSION_TIMEOUT = 86_400
# Kubernetes kills a process 30 s after SIGTERM: there is time left to end what is over TCP in order.
DEFAULT_DRAIN_TIME = 20
MAX_DRAIN_TIME = 86_400
# Beside 8554, as MediaMTX and others have it: the scheme's own port, 322, takes root.
DEFAULT_RTSPS = HostPort(host="127.0.0.1", port=8322)
# Kubernetes sets these for Services whose names begin with "msm".
_OF_KUBERNETES = re.compile(r".*_(SERVICE|PORT)(_.*)?")
# A settings file has some fifteen lines.
MAX_FILE_BYTES = 1 << 20


class SettingsError(Exception):
    """Settings that cannot be used: one line for each problem, with the option, variable or file that is to blame."""


class LogFormat(StrEnum):
    """How log lines look: for people, or one JSON object each."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """The least important lines that are still written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _host_port(value: object) -> object:
    return HostPort.parse(value) if isinstance(value, str) else value


def _port_range(value: object) -> object:
    return PortRange.parse(value) if isinstance(value, str) else value


def _groups(value: object) -> object:
    return multicast_groups(value) if isinstance(value, str) else value


def _split_on(separator: str | None) -> BeforeValidator:
    def split(value: object) -> object:
        return tuple(part for part in value.split(separator) if part) if isinstance(value, str) else value

    return BeforeValidator(split)


def _default_workers() -> int:
    return min(MAX_DEFAULT_WORKERS, os.cpu_count() or 1)


def _default_rtsp_node(settings: dict[str, Any]) -> str:
    """Two proxies of one host listen at different ports."""
    port = settings["rtsp"].port
    return f"rtsp-{socket.gethostname()}" + (f"-{port}" if port else "")


Listen = Annotated[HostPort, NoDecode, BeforeValidator(_host_port)]
NodeId = Annotated[str, Field(min_length=1, max_length=253)]


class MeshSettings(BaseSettings):
    """What a mesh listens on, serves and is called. Lists in the environment are one text, as their field says."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
    )

    rtsp: Listen = Field(
        default=HostPort(host="127.0.0.1", port=8554),
        description="HOST:PORT (TCP) where players connect to, with RTSP or RTSP over HTTP.",
    )
    rtsps: Annotated[HostPort | None, NoDecode, BeforeValidator(_host_port)] = Field(
        default=None,
        description="HOST:PORT (TCP) where players connect to by TLS, with RTSPS or RTSP over HTTPS; 127.0.0.1:8322 if"
        " there is a certificate, and else nowhere.",
    )
    rtsps_certificate: Path | None = Field(
        default=None,
        validate_default=True,
        description="PEM file with the certificate for RTSPS and those above it; it is read again when it changes.",
    )
    rtsps_key: Path | None = Field(
        default=None,
        validate_default=True,
        description="PEM file with the certificate's private key, without a password; by default it is in the"
        " certificate's file.",
    )
    api: Listen = Field(
        default=HostPort(host="127.0.0.1", port=8080),
        description="HOST:PORT (TCP) of the REST API.",
    )
    xds: Listen = Field(
        default=HostPort(host="127.0.0.1", port=18000),
        description="HOST:PORT (TCP) of the control plane's gRPC: xDS and relays.",
    )
    media_ports: Annotated[PortRange, NoDecode, BeforeValidator(_port_range)] = Field(
        default=PortRange(20000, 23999),
        description="FIRST-LAST: the UDP ports of media, four for each track of each session.",
    )
    media_address: Annotated[tuple[str, ...], NoDecode, _split_on(",")] = Field(
        default=("127.0.0.1",),
        description="Addresses of media: one IPv4, one IPv6 or both, with a comma between them in the environment.",
    )
    multicast_groups: Annotated[IPv4Network | None, NoDecode, BeforeValidator(_groups)] = Field(
        default=None,
        description="ADDRESS/LENGTH: the multicast groups that this RTSP proxy, and no other one, may send streams to,"
        " as in 239.1.2.0/24; by default players get no multicast.",
    )
    multicast_ttl: int = Field(
        default=1,
        ge=1,
        le=255,
        description="Time to live of multicast: how many networks it may pass; the same for control plane and RTSP"
        " proxies.",
    )
    route: Annotated[tuple[str, ...], NoDecode, _split_on(None)] = Field(
        default=(),
        repr=False,  # there may be passwords in the URLs
        description="PATH=URL: cameras by path, with spaces between them in the environment.",
    )
    file: Annotated[tuple[Path, ...], NoDecode, _split_on(os.pathsep)] = Field(
        default=(),
        description=f'Files and folders of documents, with "{os.pathsep}" between them in the environment.',
    )
    media_node: NodeId = Field(default="envoy", description="Node id of the media proxy (Envoy).")
    rtsp_node: NodeId = Field(
        default_factory=_default_rtsp_node,
        description="Node id of this RTSP proxy, unique in the mesh; by default made of the host's name and its RTSP"
        " port.",
    )
    envoy_workers: int = Field(
        default_factory=_default_workers,
        ge=1,
        le=MAX_WORKERS,
        description=f"Worker threads of Envoy; by default one for each processor, {MAX_DEFAULT_WORKERS} at most.",
    )
    session_timeout: int = Field(
        default=DEFAULT_SESSION_TIMEOUT,
        ge=MIN_SESSION_TIMEOUT,
        le=MAX_SESSION_TIMEOUT,
        description="Seconds after which a player's session has ended at the latest, if neither it sends a request nor"
        " its machine answers TCP's probes.",
    )
    drain_time: int = Field(
        default=DEFAULT_DRAIN_TIME,
        ge=0,
        le=MAX_DRAIN_TIME,
        description="Seconds that an RTSP proxy's sessions go on after SIGTERM; those over UDP go on at other proxies"
        " then.",
    )
    log_format: LogFormat = Field(default=LogFormat.CONSOLE, description="console for people, json for collectors.")
    log_level: LogLevel = Field(default=LogLevel.INFO, description="debug, info, warning or error.")

    @field_validator("route")
    @classmethod
    def _check_route(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            route_options(value)
        except RouteOptionError as error:
            raise ValueError(str(error).removeprefix("--route ")) from None
        return value

    @field_validator("rtsps_certificate")
    @classmethod
    def _check_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is None and info.data.get("rtsps") is not None:
            raise ValueError("RTSPS needs a certificate: --rtsps-certificate FILE, and --rtsps-key FILE")
        return value

    @field_validator("rtsps_key")
    @classmethod
    def _check_key(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and "rtsps_certificate" in info.data and info.data["rtsps_certificate"] is None:
            raise ValueError("the private key of which certificate? --rtsps-certificate FILE says so")
        return value

    @field_validator("media_ports")
    @classmethod
    def _check_media_ports(cls, value: PortRange) -> PortRange:
        SlotLayout(first_port=value.first, last_port=value.last)  # says what is wrong with a range, if anything is
        return value

    @field_validator("media_address")
    @classmethod
    def _check_media_address(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        addresses = [ipaddress.ip_address(text) for text in value]
        if not addresses or len({address.version for address in addresses}) != len(addresses):
            raise ValueError("media needs one IPv4 address, one IPv6 address, or one of each")
        return tuple(str(address) for address in addresses)


def load_settings(config: Path | None = None, options: Mapping[str, object] | None = None) -> MeshSettings:
    """The settings of `options` (None and empty lists are not given), environment and file. Raises SettingsError."""
    file = read_settings_file(config) if config is not None else {}
    environment = EnvSettingsSource(MeshSettings)()
    given = {name: value for name, value in (options or {}).items() if value is not None and value != ()}
    try:
        return MeshSettings(**{**file, **environment, **given})
    except ValidationError as error:
        places = (
            *((name, option_name(name)) for name in given),
            *((name, ENVIRONMENT_PREFIX + name.upper()) for name in environment),
            *((name, f"{config}: {name}") for name in file),
        )
        raise SettingsError("\n".join(_sentences(error, places))) from None


def doubtful_variables(names: Iterable[str]) -> list[str]:
    """A sentence for each environment variable that looks like a setting, and is none."""
    found = []
    for name in sorted(names):
        field = name.removeprefix(ENVIRONMENT_PREFIX).lower()
        if not name.startswith(ENVIRONMENT_PREFIX) or field in MeshSettings.model_fields or _OF_KUBERNETES.match(name):
            continue
        meant = get_close_matches(field, MeshSettings.model_fields, n=1)
        if meant:
            found.append(f"{name}: there is no such setting (did you mean {ENVIRONMENT_PREFIX}{meant[0].upper()}?)")
    return found


def option_name(field: str) -> str:
    """The command-line option of a field."""
    return "--" + field.replace("_", "-")


def read_settings_file(path: Path) -> dict[str, Any]:
    """The fields of a settings file, their names as in `MeshSettings`. Raises SettingsError."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise SettingsError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
        text = data.decode()
        content = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except (ValueError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    if not isinstance(content, dict | None) or not all(isinstance(key, str) for key in content or ()):
        raise SettingsError(f"{path}: a settings file is a mapping of names to values, for example rtsp: 0.0.0.0:8554")
    fields: dict[str, Any] = {}
    for key, value in (content or {}).items():
        field = key.replace("-", "_")
        if field in fields:
            raise SettingsError(f"{path}: {field} is there twice, once with - and once with _")
        fields[field] = value
    return fields


def _sentences(error: ValidationError, places: tuple[tuple[str, str], ...]) -> list[str]:
    blame: dict[str, str] = {}
    for name, place in places:
        blame.setdefault(name, place)
    problems = [each for each in error.errors(include_url=False) if each["type"] != "default_factory_not_called"]
    return [_sentence(problem, blame) for problem in problems]


def _sentence(problem: Any, blame: Mapping[str, str]) -> str:
    name = str(problem["loc"][0])
    place = blame.get(name, name)
    if problem["type"] == "extra_forbidden":
        known = MeshSettings.model_fields
        return f"{place}: there is no such setting{suggestion(name, known) or '; known are ' + ', '.join(known)}"
    return f"{place}: {problem['msg'].removeprefix('Value error, ')}"
