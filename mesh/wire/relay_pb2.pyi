from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SessionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_STATE_UNSPECIFIED: _ClassVar[SessionState]
    READY: _ClassVar[SessionState]
    PLAYING: _ClassVar[SessionState]
    RECORDING: _ClassVar[SessionState]

class SessionTransport(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_TRANSPORT_UNSPECIFIED: _ClassVar[SessionTransport]
    UDP: _ClassVar[SessionTransport]
    TCP: _ClassVar[SessionTransport]
SESSION_STATE_UNSPECIFIED: SessionState
READY: SessionState
PLAYING: SessionState
RECORDING: SessionState
SESSION_TRANSPORT_UNSPECIFIED: SessionTransport
UDP: SessionTransport
TCP: SessionTransport

class ProxyMessage(_message.Message):
    __slots__ = ("state", "open_relay", "close_relays", "session", "session_ended")
    STATE_FIELD_NUMBER: _ClassVar[int]
    OPEN_RELAY_FIELD_NUMBER: _ClassVar[int]
    CLOSE_RELAYS_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SESSION_ENDED_FIELD_NUMBER: _ClassVar[int]
    state: State
    open_relay: OpenRelay
    close_relays: CloseRelays
    session: Session
    session_ended: SessionEnded
    def __init__(self, state: _Optional[_Union[State, _Mapping]] = ..., open_relay: _Optional[_Union[OpenRelay, _Mapping]] = ..., close_relays: _Optional[_Union[CloseRelays, _Mapping]] = ..., session: _Optional[_Union[Session, _Mapping]] = ..., session_ended: _Optional[_Union[SessionEnded, _Mapping]] = ...) -> None: ...

class ControlMessage(_message.Message):
    __slots__ = ("relay_allocated", "relay_ready", "relay_failed", "end_session", "slots_granted")
    RELAY_ALLOCATED_FIELD_NUMBER: _ClassVar[int]
    RELAY_READY_FIELD_NUMBER: _ClassVar[int]
    RELAY_FAILED_FIELD_NUMBER: _ClassVar[int]
    END_SESSION_FIELD_NUMBER: _ClassVar[int]
    SLOTS_GRANTED_FIELD_NUMBER: _ClassVar[int]
    relay_allocated: RelayAllocated
    relay_ready: RelayReady
    relay_failed: RelayFailed
    end_session: EndSession
    slots_granted: SlotsGranted
    def __init__(self, relay_allocated: _Optional[_Union[RelayAllocated, _Mapping]] = ..., relay_ready: _Optional[_Union[RelayReady, _Mapping]] = ..., relay_failed: _Optional[_Union[RelayFailed, _Mapping]] = ..., end_session: _Optional[_Union[EndSession, _Mapping]] = ..., slots_granted: _Optional[_Union[SlotsGranted, _Mapping]] = ...) -> None: ...

class Slot(_message.Message):
    __slots__ = ("number", "addresses", "ingress_port", "egress_port")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    INGRESS_PORT_FIELD_NUMBER: _ClassVar[int]
    EGRESS_PORT_FIELD_NUMBER: _ClassVar[int]
    number: int
    addresses: _containers.RepeatedScalarFieldContainer[str]
    ingress_port: int
    egress_port: int
    def __init__(self, number: _Optional[int] = ..., addresses: _Optional[_Iterable[str]] = ..., ingress_port: _Optional[int] = ..., egress_port: _Optional[int] = ...) -> None: ...

class State(_message.Message):
    __slots__ = ("node_id", "relays", "sessions", "instance")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    RELAYS_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    relays: _containers.RepeatedCompositeFieldContainer[HeldRelay]
    sessions: _containers.RepeatedCompositeFieldContainer[Session]
    instance: str
    def __init__(self, node_id: _Optional[str] = ..., relays: _Optional[_Iterable[_Union[HeldRelay, _Mapping]]] = ..., sessions: _Optional[_Iterable[_Union[Session, _Mapping]]] = ..., instance: _Optional[str] = ...) -> None: ...

class Receiver(_message.Message):
    __slots__ = ("address", "rtp_port", "rtcp_port")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    RTP_PORT_FIELD_NUMBER: _ClassVar[int]
    RTCP_PORT_FIELD_NUMBER: _ClassVar[int]
    address: str
    rtp_port: int
    rtcp_port: int
    def __init__(self, address: _Optional[str] = ..., rtp_port: _Optional[int] = ..., rtcp_port: _Optional[int] = ...) -> None: ...

class OpenRelay(_message.Message):
    __slots__ = ("relay_id", "session_id", "media", "receiver", "slot")
    RELAY_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    relay_id: str
    session_id: str
    media: str
    receiver: Receiver
    slot: int
    def __init__(self, relay_id: _Optional[str] = ..., session_id: _Optional[str] = ..., media: _Optional[str] = ..., receiver: _Optional[_Union[Receiver, _Mapping]] = ..., slot: _Optional[int] = ...) -> None: ...

class HeldRelay(_message.Message):
    __slots__ = ("relay", "slot")
    RELAY_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    relay: OpenRelay
    slot: int
    def __init__(self, relay: _Optional[_Union[OpenRelay, _Mapping]] = ..., slot: _Optional[int] = ...) -> None: ...

class CloseRelays(_message.Message):
    __slots__ = ("relay_ids", "sender_stopped")
    RELAY_IDS_FIELD_NUMBER: _ClassVar[int]
    SENDER_STOPPED_FIELD_NUMBER: _ClassVar[int]
    relay_ids: _containers.RepeatedScalarFieldContainer[str]
    sender_stopped: bool
    def __init__(self, relay_ids: _Optional[_Iterable[str]] = ..., sender_stopped: _Optional[bool] = ...) -> None: ...

class SlotsGranted(_message.Message):
    __slots__ = ("slots",)
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    slots: _containers.RepeatedCompositeFieldContainer[Slot]
    def __init__(self, slots: _Optional[_Iterable[_Union[Slot, _Mapping]]] = ...) -> None: ...

class RelayAllocated(_message.Message):
    __slots__ = ("relay_id", "slot")
    RELAY_ID_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    relay_id: str
    slot: Slot
    def __init__(self, relay_id: _Optional[str] = ..., slot: _Optional[_Union[Slot, _Mapping]] = ...) -> None: ...

class RelayReady(_message.Message):
    __slots__ = ("relay_id",)
    RELAY_ID_FIELD_NUMBER: _ClassVar[int]
    relay_id: str
    def __init__(self, relay_id: _Optional[str] = ...) -> None: ...

class RelayFailed(_message.Message):
    __slots__ = ("relay_id", "reason", "message")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[RelayFailed.Reason]
        NO_FREE_SLOT: _ClassVar[RelayFailed.Reason]
        MEDIA_PROXY_UNAVAILABLE: _ClassVar[RelayFailed.Reason]
        REFUSED: _ClassVar[RelayFailed.Reason]
    REASON_UNSPECIFIED: RelayFailed.Reason
    NO_FREE_SLOT: RelayFailed.Reason
    MEDIA_PROXY_UNAVAILABLE: RelayFailed.Reason
    REFUSED: RelayFailed.Reason
    RELAY_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    relay_id: str
    reason: RelayFailed.Reason
    message: str
    def __init__(self, relay_id: _Optional[str] = ..., reason: _Optional[_Union[RelayFailed.Reason, str]] = ..., message: _Optional[str] = ...) -> None: ...

class Session(_message.Message):
    __slots__ = ("session_id", "client_address", "url", "upstream_url", "route", "cluster", "endpoint", "transport", "state", "media", "started_at")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_URL_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    TRANSPORT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    client_address: str
    url: str
    upstream_url: str
    route: str
    cluster: str
    endpoint: str
    transport: SessionTransport
    state: SessionState
    media: _containers.RepeatedScalarFieldContainer[str]
    started_at: float
    def __init__(self, session_id: _Optional[str] = ..., client_address: _Optional[str] = ..., url: _Optional[str] = ..., upstream_url: _Optional[str] = ..., route: _Optional[str] = ..., cluster: _Optional[str] = ..., endpoint: _Optional[str] = ..., transport: _Optional[_Union[SessionTransport, str]] = ..., state: _Optional[_Union[SessionState, str]] = ..., media: _Optional[_Iterable[str]] = ..., started_at: _Optional[float] = ...) -> None: ...

class SessionEnded(_message.Message):
    __slots__ = ("session_id", "reason")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    reason: str
    def __init__(self, session_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class EndSession(_message.Message):
    __slots__ = ("session_id", "reason")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    reason: str
    def __init__(self, session_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
