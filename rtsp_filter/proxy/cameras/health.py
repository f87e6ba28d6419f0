"""Asks endpoints how they are: the asyncio shell of HealthSchedule."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from rtsp_filter.balancing import HealthCheck, HealthSchedule, Host, HostKey, Probe, Question
from rtsp_filter.proxy.cameras.upstream import Upstream
from rtsp_filter.resources.access import PLAIN, Access
from rtsp_filter.resources.offered_codecs import what_lacks
from rtsp_filter.routes.matching import upstream_path
from rtsp_filter.rtsp import Method, RTSPError, SessionDescription, StatusCode

MAX_QUESTIONS = 64
"""Connections of health checks at once: a proxy of ten thousand cameras must not lack files for players."""

OnVerdict = Callable[[Question, bool, str], None]
"""Told what was asked, whether the endpoint passes from now on, and why not."""

AccessOf = Callable[[Question], Access]
"""How whoever is asked is spoken to. Raises RTSPError where that is not known."""


class HealthChecker:
    """Needs a running event loop, but to be made."""

    def __init__(self, on_verdict: OnVerdict, access: AccessOf) -> None:
        self._on_verdict = on_verdict
        self._access = access
        self._schedule = HealthSchedule()
        self._changed = asyncio.Event()
        self._free = asyncio.Semaphore(MAX_QUESTIONS)

    def update(self, hosts: Mapping[tuple[str, HostKey], tuple[Host, HealthCheck]]) -> None:
        """Whom to ask from now on."""
        self._schedule.update(hosts, _now())
        self._changed.set()

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                for question in self._schedule.due(_now()):
                    await self._free.acquire()
                    tasks.create_task(self._ask(question), name=f"health check of {question.host.endpoint.name}")
                await self._wait()

    async def _wait(self) -> None:
        """Until somebody is to be asked, or something has changed."""
        self._changed.clear()
        due = self._schedule.next_timer()
        try:
            async with asyncio.timeout_at(due):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _ask(self, question: Question) -> None:
        try:
            reason = await self._what_is_wrong(question)
        finally:
            self._free.release()
        passing = self._schedule.answered(question, reason is None, _now())
        self._changed.set()
        if passing is not None:
            self._on_verdict(question, passing, reason or "")

    async def _what_is_wrong(self, question: Question) -> str | None:
        try:
            access = self._access(question)
        except RTSPError as error:
            return str(error)
        return await ask(question.host, question.check, access)


async def ask(host: Host, check: HealthCheck, access: Access = PLAIN) -> str | None:
    """What is wrong with an endpoint, None if nothing is. Takes `check.timeout` at most."""
    endpoint = host.endpoint
    upstream: Upstream | None = None
    try:
        async with asyncio.timeout(check.timeout):
            upstream = await Upstream.connect(endpoint.address, endpoint.port, access=access, path=endpoint.path or "/")
            if check.probe is Probe.CONNECT:
                return None
            name = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
            server = f"{access.scheme}://{name}:{endpoint.port}"
            if check.probe is Probe.DESCRIBE:
                return await _describe(upstream, server + upstream_path(endpoint.path, check.path, ""), check)
            response = await upstream.request(Method.OPTIONS, server + (endpoint.path or "/"))
            failed = response.status >= StatusCode.INTERNAL_SERVER_ERROR
            return f"OPTIONS was answered {response.status}" if failed else None
    except TimeoutError:
        return f"no answer within {check.timeout:g} s"
    except (RTSPError, UnicodeError) as error:  # UnicodeError: of a host name that can be none
        return str(error)
    finally:
        if upstream is not None:
            upstream.close()


async def _describe(upstream: Upstream, url: str, check: HealthCheck) -> str | None:
    response = await upstream.request(Method.DESCRIBE, url, headers=[("Accept", "application/sdp")])
    if response.status != StatusCode.OK:
        return f"DESCRIBE was answered {response.status}"
    return what_lacks(check.codecs, SessionDescription.parse(response.body))


def _now() -> float:
    return asyncio.get_running_loop().time()
