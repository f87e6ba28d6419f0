"""How far a client is with one resource, for people."""

from __future__ import annotations

from collections.abc import Mapping

from xds_server.resources import Content
from xds_server.subscription.exchange import Has, version_of
from xds_server.subscription.proxy import ResourceStatus, SyncState
from xds_server.subscription.suspects import Rejection


def status_of(
    type_url: str,
    name: str,
    *,
    current: Content | None,
    has: Has,
    sent: Mapping[str, Content | None],
    rejection: Rejection | None,
    doubtful: bool,
) -> ResourceStatus:
    """The status of a name.

    current: what the client should have. has: what it has. sent: the response that it has not answered yet.
    rejection: what it refused under this name; that counts as long as it should have just that.
    doubtful: whether it may have something else all the same, so that it has to be told in any case.
    """
    version, acknowledged = version_of(current), version_of(has)
    last, error = version_of(sent.get(name)) or acknowledged, None
    if rejection is not None and rejection.version == version:
        state, last, error = SyncState.REJECTED, rejection.version, rejection.message
    elif name in sent:
        state = SyncState.SENT
    elif acknowledged == version and not doubtful:
        state = SyncState.SYNCED
    elif acknowledged is not None or doubtful:
        state = SyncState.STALE
    else:
        state = SyncState.NOT_SENT
    return ResourceStatus(
        type_url=type_url,
        name=name,
        version_sent=last,
        version_acknowledged=acknowledged,
        state=state,
        error=error,
    )
