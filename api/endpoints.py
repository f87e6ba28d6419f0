"""Endpoints as RTSP proxies see them: models of the API, and how they come from the control plane's state."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import Field

from api.models import ApiModel
from mesh.wire import relay_pb2
from xds_server.control_plane import ControlPlane
from xds_server.endpoint_reports import EndpointKey, Reported


class EndpointState(StrEnum):
    """Whether a proxy gives new sessions to an endpoint."""

    HEALTHY = "healthy"
    FAILING = "failing"
    """It fails its health checks."""
    EJECTED = "ejected"
    """It has failed set-ups in a row, and is left out for a while."""


class Counts(ApiModel):
    """What an endpoint has done, and does. Counts begin when a proxy first deals with the endpoint."""

    sessions: int = Field(description="Sessions there now, with those that nobody watches.")
    setups: int = Field(description="Requests that begin sessions that it was asked: DESCRIBE, ANNOUNCE, first SETUP.")
    failed_setups: int = Field(
        description="Those without an answer, or answered 453 or from 500 on; and sessions whose media stopped."
    )
    refused_setups: int = Field(description="Those answered with another of the 400s than 401, 407 and 461.")
    connections: int = Field(description="Connections to it that are open now: one for each session or description.")
    opened_connections: int = Field(description="All that were opened: what a DESCRIBE opens its session goes on with.")
    keepalives: int = Field(description="Requests that only keep its sessions alive.")
    failed_keepalives: int = Field(description="Those that it did not answer, or whose session it did not know.")
    frames_dropped: int = Field(description="Interleaved frames of it that players did not take in time.")
    packets: int = Field(description="RTP packets that sessions which nobody watches should have had of it.")
    lost_packets: int = Field(description="Those of them that did not arrive.")
    jitter: float = Field(description="Of their arrival times, the latest (RFC 3550).", json_schema_extra={"unit": "s"})


class EndpointReport(Counts):
    """What one RTSP proxy says of an endpoint."""

    proxy: str = Field(description="Node id of the proxy.")
    state: EndpointState = Field(description="healthy, failing its health checks, or ejected.")
    reason: str | None = Field(description="Why it gets no new sessions; null: it does.")
    ejected_until: datetime | None = Field(description="When it is taken back; null: it is not ejected.")


class MeasuredEndpoint(Counts):
    """A server of RTSP, by all that tells it from others: what connected RTSP proxies say of it, put together."""

    backend: str = Field(description="Its backend, namespace/name.")
    name: str = Field(description="Its name, unique in the backend.")
    address: str = Field(description="IP address or host name.")
    port: int = Field(description="TCP port of RTSP.")
    path: str = Field(description="What is put in front of every path; empty: nothing.")
    proxies: tuple[EndpointReport, ...] = Field(description="Of each proxy that has dealt with it; jitter: the worst.")


_NUMBERS = tuple(name for name in Counts.model_fields if name != "jitter")


def endpoints(plane: ControlPlane) -> list[MeasuredEndpoint]:
    """All endpoints that a proxy has dealt with, by backend and name."""
    now = time.time()
    return [_endpoint(key, reported, now) for key, reported in plane.measured.reports.endpoints()]


def left_out(plane: ControlPlane, key: EndpointKey) -> tuple[str, ...]:
    """Of each proxy that gives an endpoint no new sessions now: its name, and why."""
    reports = (_report(each, time.time()) for each in plane.measured.reports.of(key))
    return tuple(
        f"{report.proxy}: {report.state.value}, {report.reason}"
        for report in reports
        if report.state is not EndpointState.HEALTHY
    )


def state_of(status: relay_pb2.EndpointStatus, now: float) -> EndpointState:
    """`now` is in seconds since 1970. Proxies do not say that time has passed."""
    if not status.healthy:
        return EndpointState.FAILING
    return EndpointState.EJECTED if status.ejected_until > now else EndpointState.HEALTHY


def _endpoint(key: EndpointKey, reported: Iterable[Reported], now: float) -> MeasuredEndpoint:
    reports = tuple(_report(each, now) for each in reported)
    return MeasuredEndpoint(
        backend=key.cluster,
        name=key.name,
        address=key.address,
        port=key.port,
        path=key.path,
        proxies=reports,
        jitter=max(each.jitter for each in reports),
        **{name: sum(getattr(each, name) for each in reports) for name in _NUMBERS},
    )


def _report(reported: Reported, now: float) -> EndpointReport:
    status = reported.status
    state = state_of(status, now)
    ejected = state is EndpointState.EJECTED
    return EndpointReport(
        proxy=reported.proxy,
        state=state,
        reason=None if state is EndpointState.HEALTHY else status.why,
        ejected_until=datetime.fromtimestamp(status.ejected_until, UTC) if ejected else None,
        jitter=status.jitter,
        **{name: getattr(status, name) for name in _NUMBERS},
    )
