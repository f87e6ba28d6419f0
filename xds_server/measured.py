"""What is measured of endpoints, and what follows from it for the mesh: the clock and the log of canaries."""

from __future__ import annotations

import time
from collections.abc import Iterable

import structlog

from mesh.model import Mesh
from mesh.wire import relay_pb2
from xds_server.canary import CanaryController, Phase, RouteStep
from xds_server.compile.users import secret_name
from xds_server.endpoint_reports import EndpointReports

_EVENTS = {
    Phase.STEPPING: "a canary takes a step",
    Phase.PROMOTED: "a canary has passed its last step",
    Phase.ROLLED_BACK: "a canary is rolled back; it gets no sessions until its document changes",
}

log = structlog.get_logger()


class Measured:
    """`reports` of RTSP proxies, and the `canaries` that follow them."""

    def __init__(self) -> None:
        self.reports = EndpointReports()
        self.canaries = CanaryController()
        self._said = Mesh()

    @property
    def mesh(self) -> Mesh:
        """What sources say, and what follows from what is measured."""
        return self.canaries.applied(self._said)

    def said(self, mesh: Mesh) -> None:
        """What sources say now."""
        self._said = mesh
        self.reports.keep_totals(map(str, mesh.backends), map(secret_name, mesh.users))
        _tell(self.canaries.update(mesh, time.monotonic()))

    def reported(self, proxy: str, report: relay_pb2.EndpointReport) -> bool:
        """A proxy says what it sees; whether the mesh is another one now."""
        return _tell(self.canaries.measured(self.reports.take(proxy, report), time.monotonic()))

    def tick(self) -> bool:
        """Do what is due; whether the mesh is another one now."""
        return _tell(self.canaries.tick(time.monotonic()))


def _tell(steps: Iterable[RouteStep]) -> bool:
    """Whether there is anything to tell."""
    told = False
    for each in steps:
        told = True
        tell = log.warning if each.step.phase is Phase.ROLLED_BACK else log.info
        tell(
            _EVENTS[each.step.phase],
            route=str(each.route),
            backend=str(each.backend),
            percent=each.step.percent,
            reason=each.step.reason,
        )
    return told
