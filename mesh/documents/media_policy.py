"""`MediaPolicy`: how sessions are treated, attached to gateways and routes (Gateway API, policy attachment)."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from mesh.documents.backend_refs import BackendObjectReference
from mesh.documents.base import FILE_PATH, MEDIA_TYPE, URL_PATH, DocumentModel, ObjectMeta, ObjectNameText, Port
from mesh.gateways import Algorithm, MediaSource, OnBackendChange, OnBackendFailure, ProbeProtocol, TargetKind

MAX_TARGETS = 16
# Envoy's own range of sessions is wider; no machine has more sockets than this.
MAX_SESSIONS = 1_000_000
MAX_THRESHOLD = 100
# No camera offers more at a time.
MAX_CODECS = 16
# Each step is watched for a while; with more nobody would wait for the end.
MAX_STEPS = 16
# A camera of 25 pictures a second sends as many packets in some hours.
MAX_MINIMUM = 10_000_000

# Gateway API's durations (GEP-2257).
_DURATION = re.compile(r"([0-9]{1,5}(h|m|s|ms)){1,4}")
_PART = re.compile(r"([0-9]+)(ms|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def seconds(duration: str) -> float:
    """The seconds that a duration like "1m30s" stands for."""
    return sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(duration))


def _duration(value: object) -> object:
    """Looks at numbers as well: who forgets the unit is told of durations, not of text."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return value
    if not _DURATION.fullmatch(str(value)):
        shown = f'"{value}"' if isinstance(value, str) else value
        raise ValueError(f"{shown} is not a duration, such as 90s, 1h30m or 500ms")
    if not seconds(str(value)):
        raise ValueError("must be longer than nothing")
    return value


Duration = Annotated[str, BeforeValidator(_duration)]
UrlPath = Annotated[str, Field(pattern=URL_PATH, max_length=1024)]
Threshold = Annotated[int, Field(strict=True, ge=1, le=MAX_THRESHOLD)]


class TargetRef(DocumentModel):
    """What the policy is for; it is in the policy's own namespace."""

    group: Literal["gateway.networking.k8s.io", "mediastreamingmesh.io"] | None = Field(
        default=None, description="Group of the kind. Default: the one that has it."
    )
    kind: TargetKind = Field(description="Gateway, UDPRoute, TCPRoute, RTSPRoute or Backend.")
    name: ObjectNameText = Field(description="Name of the object.")
    section_name: ObjectNameText | None = Field(default=None, description="One listener of a Gateway.")


class Balancing(DocumentModel):
    """Which backend a session goes to."""

    algorithm: Algorithm | None = Field(
        default=None,
        description="RoundRobin (the default): by weight; LeastRequest (TCP, RTSP): the endpoint with fewer sessions;"
        " Random; Maglev: by the client's IP address, or for RTSP the stream's path, the same each time.",
    )
    per_packet: bool | None = Field(
        default=None, strict=True, description="UDP: every datagram is balanced, not every session. Default: false."
    )


class SessionTimes(DocumentModel):
    """How long sessions last."""

    idle_timeout: Duration | None = Field(
        default=None, description="A session ends after this long without a packet. Default: UDP 120s, TCP 1h."
    )
    max_duration: Duration | None = Field(
        default=None, description="A session ends after this long in any case; for UDP at a price. Default: never."
    )
    on_backend_change: OnBackendChange | None = Field(
        default=None,
        description="When the backend of a session is leaving but still serves: Stick (the default) or, for UDP, Move.",
    )
    on_backend_failure: OnBackendFailure | None = Field(
        default=None,
        description="RTSP: when the server of a session fails: End (the default), or Move to another one of the"
        " backend, which has the same streams.",
    )
    media_source: MediaSource | None = Field(
        default=None,
        description="RTSP: whose packets are taken for media over UDP: Any (the default), the first one's who sends;"
        " Address, the first one's at the camera's address; AddressAndPorts, those of the ports that it names.",
    )


class Limits(DocumentModel):
    """How much a listener, or a backend of RTSP, takes."""

    max_sessions: Annotated[int, Field(strict=True, ge=1, le=MAX_SESSIONS)] | None = Field(
        default=None, description="Sessions at once in one proxy; more are refused. Default: 16384, for RTSP no limit."
    )


class DescribeProbe(DocumentModel):
    """DESCRIBE is asked, and answered with 200."""

    path: UrlPath = Field(default="/", description="What is asked for, below the endpoint's own path.")
    codecs: tuple[Annotated[str, Field(pattern=MEDIA_TYPE, max_length=127)], ...] = Field(
        default=(),
        max_length=MAX_CODECS,
        description="What the description has to offer, each as a media type: video/H264, audio/MPEG4-GENERIC.",
    )


class HealthProbe(DocumentModel):
    """Probes that find out which endpoints work."""

    type: ProbeProtocol = Field(
        description="TCP: a connection can be opened; HTTP: a GET is answered with 200; RTSP: OPTIONS is answered,"
        " or DESCRIBE as `describe` says."
    )
    port: Port | None = Field(
        default=None, description="TCP port to probe; needed for UDP, else by default the endpoint's own."
    )
    path: UrlPath | None = Field(default=None, description="Path of HTTP probes. Default: /.")
    describe: DescribeProbe | None = Field(
        default=None, description="RTSP: what DESCRIBE has to answer. Default: OPTIONS is asked."
    )
    interval: Duration = Field(default="5s", description="Time between probes.")
    timeout: Duration = Field(default="1s", description="How long an answer may take.")
    healthy_threshold: Threshold = Field(default=1, description="Good probes until an endpoint is used again.")
    unhealthy_threshold: Threshold = Field(default=3, description="Bad probes until an endpoint is used no more.")


class EjectionSpec(DocumentModel):
    """RTSP: servers whose answers to DESCRIBE and SETUP fail are left out for a while."""

    failures: Threshold = Field(default=5, description="Failures in a row.")
    base_time: Duration = Field(default="30s", description="How long at first; each time as much longer, 300s at most.")
    max_percent: Annotated[int, Field(strict=True, ge=1, le=100)] = Field(
        default=100, description="Part of a backend that may be left out, in percent; one server always may."
    )


class AccessLogSpec(DocumentModel):
    """One line of JSON for every session, when it ends."""

    type: Literal["Stdout", "File"] = Field(description="Stdout: standard output of Envoy; File: a file there.")
    path: Annotated[str, Field(pattern=FILE_PATH, max_length=4096)] | None = Field(
        default=None, description="The file, for type File."
    )


Percent = Annotated[float, Field(strict=True, ge=0, le=100)]
Minimum = Annotated[int, Field(strict=True, ge=1, le=MAX_MINIMUM)]


class CanarySetups(DocumentModel):
    """Which part of the requests that begin sessions may fail: DESCRIBE, ANNOUNCE and first SETUP."""

    minimum: Minimum = Field(default=20, description="As many in a step tell how it does; it waits for them.")
    max_failed_percent: Percent = Field(default=5.0, description="More of them failed: roll back.")


class CanaryLoss(DocumentModel):
    """Which part of the media may be lost. Some sessions of the route are played from the canary as well, by the RTSP
    proxy and for nobody, to see what of their media arrives."""

    sample_percent: Annotated[int, Field(strict=True, ge=1, le=100)] = Field(
        default=10, description="Percent of the route's sessions that are."
    )
    min_packets: Minimum = Field(default=1000, description="As many in a step tell how it does; it waits for them.")
    max_lost_percent: Percent = Field(default=1.0, description="More of them lost: roll back.")


class CanarySpec(DocumentModel):
    """RTSPRoute: one of its backends gets more sessions step by step while it does well, and none once it does not."""

    backend_ref: BackendObjectReference = Field(description="The canary, a backend that rules have besides others.")
    steps: tuple[Annotated[int, Field(strict=True, ge=1, le=100)], ...] = Field(
        default=(5, 25, 50, 100), min_length=1, max_length=MAX_STEPS, description="Its percents of the sessions."
    )
    interval: Duration = Field(default="1m", description="How long a step lasts at least.")
    setups: CanarySetups = Field(default=CanarySetups(), description="Which part of the set-ups may fail.")
    loss: CanaryLoss | None = Field(default=None, description="Which part of the media may be lost. Default: any.")


class MediaPolicySpec(DocumentModel):
    """What is said of the targets' sessions; what is left out is as another policy or the default says."""

    target_refs: tuple[TargetRef, ...] = Field(
        min_length=1, max_length=MAX_TARGETS, description="What the policy is for."
    )
    balancing: Balancing = Field(default=Balancing(), description="Which backend a session goes to.")
    session: SessionTimes = Field(default=SessionTimes(), description="How long sessions last.")
    limits: Limits = Field(default=Limits(), description="How much a listener takes.")
    health_check: HealthProbe | None = Field(default=None, description="Probes of the endpoints. Default: none.")
    ejection: EjectionSpec | None = Field(default=None, description="Failing servers are left out. Default: never.")
    access_log: AccessLogSpec | None = Field(default=None, description="A log of sessions. Default: none.")
    canary: CanarySpec | None = Field(default=None, description="A backend on trial. Default: none.")


class MediaPolicy(DocumentModel):
    """How sessions of UDP, TCP and RTSP are treated."""

    api_version: Literal["mediastreamingmesh.io/v1alpha1"] = Field(
        default="mediastreamingmesh.io/v1alpha1", description="Group and version of this kind."
    )
    kind: Literal["MediaPolicy"] = Field(default="MediaPolicy", description="MediaPolicy.")
    metadata: ObjectMeta = Field(description="Name and namespace.")
    spec: MediaPolicySpec = Field(description="Targets and settings.")
