"""Relays, sessions and tunnels as the wire has them (mesh/wire/relay.proto), to and from the own types. Pure."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable
from typing import Any

from mesh.wire import relay_pb2
from xds_server.relays.relay import (
    Allocated,
    Failed,
    FailureReason,
    Granted,
    Receiver,
    Relay,
    RelayMessage,
    RelayState,
)
from xds_server.relays.senders import Sender
from xds_server.relays.sessions import Handed, Leave, SessionMessage
from xds_server.relays.slots import SlotLayout
from xds_server.relays.tunnels import Found

_REASONS = {
    FailureReason.NO_FREE_SLOT: relay_pb2.RelayFailed.NO_FREE_SLOT,
    FailureReason.MEDIA_PROXY_UNAVAILABLE: relay_pb2.RelayFailed.MEDIA_PROXY_UNAVAILABLE,
    FailureReason.REFUSED: relay_pb2.RelayFailed.REFUSED,
}


def relay_of(message: relay_pb2.OpenRelay, owner: str) -> Relay:
    """A relay as a proxy asks for it. Raises ValueError when its receiver is no address with two ports."""
    if not message.relay_id:
        raise ValueError("a relay needs an id")
    return Relay(
        relay_id=message.relay_id,
        session_id=message.session_id,
        media=message.media,
        receiver=_receiver(message.receiver) if message.HasField("receiver") else None,
        owner=owner,
        state=RelayState.WAITING,
        deadline=math.inf,
        slot=message.slot if message.HasField("slot") else None,
        sender=_sender(message.sender) if message.HasField("sender") else None,
    )


def _sender(message: relay_pb2.Sender) -> Sender:
    address = str(ipaddress.ip_address(message.address))
    ports = (message.rtp_port, message.rtcp_port)
    if ports != (0, 0) and not all(0 < port < 65536 for port in ports):
        raise ValueError(f"the sender {address} needs two UDP ports, or none")
    return Sender(address=address, rtp_port=ports[0] or None, rtcp_port=ports[1] or None)


def _receiver(message: relay_pb2.Receiver) -> Receiver:
    address = str(ipaddress.ip_address(message.address))
    if not (0 < message.rtp_port < 65536 and 0 < message.rtcp_port < 65536):
        raise ValueError(f"the receiver {address} needs two UDP ports")
    return Receiver(address=address, rtp_port=message.rtp_port, rtcp_port=message.rtcp_port)


def control_message(message: RelayMessage, layout: SlotLayout, addresses: Iterable[str]) -> Any:
    """A registry's message as the wire has it."""
    if isinstance(message, Granted):
        slots = [_slot(slot, layout, addresses) for slot in message.slots]
        return relay_pb2.ControlMessage(slots_granted=relay_pb2.SlotsGranted(slots=slots))
    if isinstance(message, Allocated):
        slot = _slot(message.slot, layout, addresses)
        return relay_pb2.ControlMessage(relay_allocated=relay_pb2.RelayAllocated(relay_id=message.relay_id, slot=slot))
    if isinstance(message, Failed):
        return failed(message.relay_id, message.reason, message.message)
    return relay_pb2.ControlMessage(relay_ready=relay_pb2.RelayReady(relay_id=message.relay_id))


def session_message(message: SessionMessage, layout: SlotLayout, addresses: Iterable[str]) -> Any:
    """What proxies are told of sessions that change hands, as the wire has it."""
    if isinstance(message, Handed):
        relays = [
            relay_pb2.HandedRelay(relay=_open_relay(relay), slot=_slot(relay.slot, layout, addresses))
            for relay in message.relays
            if relay.slot is not None
        ]
        return relay_pb2.ControlMessage(session_handed=relay_pb2.SessionHanded(session=message.session, relays=relays))
    if isinstance(message, Leave):
        return relay_pb2.ControlMessage(leave_session=relay_pb2.LeaveSession(session_id=message.session_id))
    return relay_pb2.ControlMessage(claim_refused=relay_pb2.ClaimRefused(session_id=message.session_id))


def tunnel_message(message: Found) -> Any:
    """What a proxy is told of a tunnel that it seeks, as the wire has it."""
    return relay_pb2.ControlMessage(
        tunnel_found=relay_pb2.TunnelFound(
            tunnel=message.tunnel,
            address=message.place.address,
            port=message.place.port,
            ticket=message.ticket,
            certificate=message.certificate,
        )
    )


def _open_relay(relay: Relay) -> relay_pb2.OpenRelay:
    receiver, sender = relay.receiver, relay.sender
    return relay_pb2.OpenRelay(
        relay_id=relay.relay_id,
        session_id=relay.session_id,
        media=relay.media,
        receiver=None
        if receiver is None
        else relay_pb2.Receiver(address=receiver.address, rtp_port=receiver.rtp_port, rtcp_port=receiver.rtcp_port),
        sender=None
        if sender is None
        else relay_pb2.Sender(address=sender.address, rtp_port=sender.rtp_port, rtcp_port=sender.rtcp_port),
    )


def _slot(number: int, layout: SlotLayout, addresses: Iterable[str]) -> relay_pb2.Slot:
    ports = layout.ports(number)
    return relay_pb2.Slot(number=number, addresses=addresses, ingress_port=ports.ingress, egress_port=ports.egress)


def failed(relay_id: str, reason: FailureReason, text: str) -> Any:
    """RelayFailed as the wire has it."""
    return relay_pb2.ControlMessage(
        relay_failed=relay_pb2.RelayFailed(relay_id=relay_id, reason=_REASONS[reason], message=text)
    )
