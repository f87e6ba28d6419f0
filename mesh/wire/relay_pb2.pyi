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
    MULTICAST: _ClassVar[SessionTransport]
SESSION_STATE_UNSPECIFIED: SessionState
READY: SessionState
PLAYING: SessionState
RECORDING: SessionState
SESSION_TRANSPORT_UNSPECIFIED: SessionTransport
UDP: SessionTransport
TCP: SessionTransport
MULTICAST: SessionTransport

class ProxyMessage(_message.Message):
    __slots__ = ("state", "open_relay", "close_relays", "session", "session_ended", "endpoint_report", "claim_session", "session_left", "draining", "batch", "tunnel_report")
    STATE_FIELD_NUMBER: _ClassVar[int]
    OPEN_RELAY_FIELD_NUMBER: _ClassVar[int]
    CLOSE_RELAYS_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SESSION_ENDED_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_REPORT_FIELD_NUMBER: _ClassVar[int]
    CLAIM_SESSION_FIELD_NUMBER: _ClassVar[int]
    SESSION_LEFT_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    TUNNEL_REPORT_FIELD_NUMBER: _ClassVar[int]
    state: State
    open_relay: OpenRelay
    close_relays: CloseRelays
    session: Session
    session_ended: SessionEnded
    endpoint_report: EndpointReport
    claim_session: ClaimSession
    session_left: SessionLeft
    draining: Draining
    batch: Batch
    tunnel_report: TunnelReport
    def __init__(self, state: _Optional[_Union[State, _Mapping]] = ..., open_relay: _Optional[_Union[OpenRelay, _Mapping]] = ..., close_relays: _Optional[_Union[CloseRelays, _Mapping]] = ..., session: _Optional[_Union[Session, _Mapping]] = ..., session_ended: _Optional[_Union[SessionEnded, _Mapping]] = ..., endpoint_report: _Optional[_Union[EndpointReport, _Mapping]] = ..., claim_session: _Optional[_Union[ClaimSession, _Mapping]] = ..., session_left: _Optional[_Union[SessionLeft, _Mapping]] = ..., draining: _Optional[_Union[Draining, _Mapping]] = ..., batch: _Optional[_Union[Batch, _Mapping]] = ..., tunnel_report: _Optional[_Union[TunnelReport, _Mapping]] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("messages",)
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[ProxyMessage]
    def __init__(self, messages: _Optional[_Iterable[_Union[ProxyMessage, _Mapping]]] = ...) -> None: ...

class ControlMessage(_message.Message):
    __slots__ = ("relay_allocated", "relay_ready", "relay_failed", "end_session", "slots_granted", "relay_activity", "session_handed", "leave_session", "claim_refused", "tunnel_found")
    RELAY_ALLOCATED_FIELD_NUMBER: _ClassVar[int]
    RELAY_READY_FIELD_NUMBER: _ClassVar[int]
    RELAY_FAILED_FIELD_NUMBER: _ClassVar[int]
    END_SESSION_FIELD_NUMBER: _ClassVar[int]
    SLOTS_GRANTED_FIELD_NUMBER: _ClassVar[int]
    RELAY_ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    SESSION_HANDED_FIELD_NUMBER: _ClassVar[int]
    LEAVE_SESSION_FIELD_NUMBER: _ClassVar[int]
    CLAIM_REFUSED_FIELD_NUMBER: _ClassVar[int]
    TUNNEL_FOUND_FIELD_NUMBER: _ClassVar[int]
    relay_allocated: RelayAllocated
    relay_ready: RelayReady
    relay_failed: RelayFailed
    end_session: EndSession
    slots_granted: SlotsGranted
    relay_activity: RelayActivity
    session_handed: SessionHanded
    leave_session: LeaveSession
    claim_refused: ClaimRefused
    tunnel_found: TunnelFound
    def __init__(self, relay_allocated: _Optional[_Union[RelayAllocated, _Mapping]] = ..., relay_ready: _Optional[_Union[RelayReady, _Mapping]] = ..., relay_failed: _Optional[_Union[RelayFailed, _Mapping]] = ..., end_session: _Optional[_Union[EndSession, _Mapping]] = ..., slots_granted: _Optional[_Union[SlotsGranted, _Mapping]] = ..., relay_activity: _Optional[_Union[RelayActivity, _Mapping]] = ..., session_handed: _Optional[_Union[SessionHanded, _Mapping]] = ..., leave_session: _Optional[_Union[LeaveSession, _Mapping]] = ..., claim_refused: _Optional[_Union[ClaimRefused, _Mapping]] = ..., tunnel_found: _Optional[_Union[TunnelFound, _Mapping]] = ...) -> None: ...

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
    __slots__ = ("node_id", "relays", "sessions", "instance", "draining", "rtsp", "rtsps")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    RELAYS_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    RTSP_FIELD_NUMBER: _ClassVar[int]
    RTSPS_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    relays: _containers.RepeatedCompositeFieldContainer[HeldRelay]
    sessions: _containers.RepeatedCompositeFieldContainer[Session]
    instance: str
    draining: bool
    rtsp: ListenAddress
    rtsps: ListenAddress
    def __init__(self, node_id: _Optional[str] = ..., relays: _Optional[_Iterable[_Union[HeldRelay, _Mapping]]] = ..., sessions: _Optional[_Iterable[_Union[Session, _Mapping]]] = ..., instance: _Optional[str] = ..., draining: _Optional[bool] = ..., rtsp: _Optional[_Union[ListenAddress, _Mapping]] = ..., rtsps: _Optional[_Union[ListenAddress, _Mapping]] = ...) -> None: ...

class ListenAddress(_message.Message):
    __slots__ = ("address", "port")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    address: str
    port: int
    def __init__(self, address: _Optional[str] = ..., port: _Optional[int] = ...) -> None: ...

class Receiver(_message.Message):
    __slots__ = ("address", "rtp_port", "rtcp_port")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    RTP_PORT_FIELD_NUMBER: _ClassVar[int]
    RTCP_PORT_FIELD_NUMBER: _ClassVar[int]
    address: str
    rtp_port: int
    rtcp_port: int
    def __init__(self, address: _Optional[str] = ..., rtp_port: _Optional[int] = ..., rtcp_port: _Optional[int] = ...) -> None: ...

class Sender(_message.Message):
    __slots__ = ("address", "rtp_port", "rtcp_port")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    RTP_PORT_FIELD_NUMBER: _ClassVar[int]
    RTCP_PORT_FIELD_NUMBER: _ClassVar[int]
    address: str
    rtp_port: int
    rtcp_port: int
    def __init__(self, address: _Optional[str] = ..., rtp_port: _Optional[int] = ..., rtcp_port: _Optional[int] = ...) -> None: ...

class OpenRelay(_message.Message):
    __slots__ = ("relay_id", "session_id", "media", "receiver", "slot", "sender")
    RELAY_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    relay_id: str
    session_id: str
    media: str
    receiver: Receiver
    slot: int
    sender: Sender
    def __init__(self, relay_id: _Optional[str] = ..., session_id: _Optional[str] = ..., media: _Optional[str] = ..., receiver: _Optional[_Union[Receiver, _Mapping]] = ..., slot: _Optional[int] = ..., sender: _Optional[_Union[Sender, _Mapping]] = ...) -> None: ...

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
    __slots__ = ("session_id", "client_address", "url", "upstream_url", "route", "cluster", "endpoint", "transport", "state", "media", "started_at", "continuation")
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
    CONTINUATION_FIELD_NUMBER: _ClassVar[int]
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
    continuation: Continuation
    def __init__(self, session_id: _Optional[str] = ..., client_address: _Optional[str] = ..., url: _Optional[str] = ..., upstream_url: _Optional[str] = ..., route: _Optional[str] = ..., cluster: _Optional[str] = ..., endpoint: _Optional[str] = ..., transport: _Optional[_Union[SessionTransport, str]] = ..., state: _Optional[_Union[SessionState, str]] = ..., media: _Optional[_Iterable[str]] = ..., started_at: _Optional[float] = ..., continuation: _Optional[_Union[Continuation, _Mapping]] = ...) -> None: ...

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

class EndpointKey(_message.Message):
    __slots__ = ("cluster", "name", "address", "port", "path")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    name: str
    address: str
    port: int
    path: str
    def __init__(self, cluster: _Optional[str] = ..., name: _Optional[str] = ..., address: _Optional[str] = ..., port: _Optional[int] = ..., path: _Optional[str] = ...) -> None: ...

class EndpointStatus(_message.Message):
    __slots__ = ("endpoint", "setups", "failed_setups", "refused_setups", "sessions", "healthy", "ejected_until", "why", "connections", "opened_connections", "keepalives", "failed_keepalives", "frames_dropped", "packets", "lost_packets", "jitter")
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    SETUPS_FIELD_NUMBER: _ClassVar[int]
    FAILED_SETUPS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_SETUPS_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    HEALTHY_FIELD_NUMBER: _ClassVar[int]
    EJECTED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    OPENED_CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    KEEPALIVES_FIELD_NUMBER: _ClassVar[int]
    FAILED_KEEPALIVES_FIELD_NUMBER: _ClassVar[int]
    FRAMES_DROPPED_FIELD_NUMBER: _ClassVar[int]
    PACKETS_FIELD_NUMBER: _ClassVar[int]
    LOST_PACKETS_FIELD_NUMBER: _ClassVar[int]
    JITTER_FIELD_NUMBER: _ClassVar[int]
    endpoint: EndpointKey
    setups: int
    failed_setups: int
    refused_setups: int
    sessions: int
    healthy: bool
    ejected_until: float
    why: str
    connections: int
    opened_connections: int
    keepalives: int
    failed_keepalives: int
    frames_dropped: int
    packets: int
    lost_packets: int
    jitter: float
    def __init__(self, endpoint: _Optional[_Union[EndpointKey, _Mapping]] = ..., setups: _Optional[int] = ..., failed_setups: _Optional[int] = ..., refused_setups: _Optional[int] = ..., sessions: _Optional[int] = ..., healthy: _Optional[bool] = ..., ejected_until: _Optional[float] = ..., why: _Optional[str] = ..., connections: _Optional[int] = ..., opened_connections: _Optional[int] = ..., keepalives: _Optional[int] = ..., failed_keepalives: _Optional[int] = ..., frames_dropped: _Optional[int] = ..., packets: _Optional[int] = ..., lost_packets: _Optional[int] = ..., jitter: _Optional[float] = ...) -> None: ...

class ClusterStatus(_message.Message):
    __slots__ = ("cluster", "refused")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    refused: int
    def __init__(self, cluster: _Optional[str] = ..., refused: _Optional[int] = ...) -> None: ...

class UsersStatus(_message.Message):
    __slots__ = ("users", "wrong_passwords")
    USERS_FIELD_NUMBER: _ClassVar[int]
    WRONG_PASSWORDS_FIELD_NUMBER: _ClassVar[int]
    users: str
    wrong_passwords: int
    def __init__(self, users: _Optional[str] = ..., wrong_passwords: _Optional[int] = ...) -> None: ...

class EndpointReport(_message.Message):
    __slots__ = ("stated", "endpoints", "gone", "clusters", "users")
    STATED_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    stated: bool
    endpoints: _containers.RepeatedCompositeFieldContainer[EndpointStatus]
    gone: _containers.RepeatedCompositeFieldContainer[EndpointKey]
    clusters: _containers.RepeatedCompositeFieldContainer[ClusterStatus]
    users: _containers.RepeatedCompositeFieldContainer[UsersStatus]
    def __init__(self, stated: _Optional[bool] = ..., endpoints: _Optional[_Iterable[_Union[EndpointStatus, _Mapping]]] = ..., gone: _Optional[_Iterable[_Union[EndpointKey, _Mapping]]] = ..., clusters: _Optional[_Iterable[_Union[ClusterStatus, _Mapping]]] = ..., users: _Optional[_Iterable[_Union[UsersStatus, _Mapping]]] = ...) -> None: ...

class RelayActivity(_message.Message):
    __slots__ = ("silent", "flowing", "receiver_alive")
    SILENT_FIELD_NUMBER: _ClassVar[int]
    FLOWING_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_ALIVE_FIELD_NUMBER: _ClassVar[int]
    silent: _containers.RepeatedCompositeFieldContainer[SilentRelay]
    flowing: _containers.RepeatedScalarFieldContainer[str]
    receiver_alive: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, silent: _Optional[_Iterable[_Union[SilentRelay, _Mapping]]] = ..., flowing: _Optional[_Iterable[str]] = ..., receiver_alive: _Optional[_Iterable[str]] = ...) -> None: ...

class SilentRelay(_message.Message):
    __slots__ = ("relay_id", "seconds")
    RELAY_ID_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    relay_id: str
    seconds: float
    def __init__(self, relay_id: _Optional[str] = ..., seconds: _Optional[float] = ...) -> None: ...

class Continuation(_message.Message):
    __slots__ = ("client_base", "upstream_aggregate", "described", "ways", "virtual_host", "match", "endpoint", "camera", "played", "path", "query", "live", "users", "user", "labels")
    CLIENT_BASE_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_AGGREGATE_FIELD_NUMBER: _ClassVar[int]
    DESCRIBED_FIELD_NUMBER: _ClassVar[int]
    WAYS_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_HOST_FIELD_NUMBER: _ClassVar[int]
    MATCH_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    PLAYED_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    client_base: str
    upstream_aggregate: str
    described: _containers.RepeatedCompositeFieldContainer[DescribedTrack]
    ways: _containers.RepeatedCompositeFieldContainer[TrackWay]
    virtual_host: str
    match: str
    endpoint: ChosenEndpoint
    camera: CameraSession
    played: bool
    path: str
    query: str
    live: bool
    users: str
    user: str
    labels: str
    def __init__(self, client_base: _Optional[str] = ..., upstream_aggregate: _Optional[str] = ..., described: _Optional[_Iterable[_Union[DescribedTrack, _Mapping]]] = ..., ways: _Optional[_Iterable[_Union[TrackWay, _Mapping]]] = ..., virtual_host: _Optional[str] = ..., match: _Optional[str] = ..., endpoint: _Optional[_Union[ChosenEndpoint, _Mapping]] = ..., camera: _Optional[_Union[CameraSession, _Mapping]] = ..., played: _Optional[bool] = ..., path: _Optional[str] = ..., query: _Optional[str] = ..., live: _Optional[bool] = ..., users: _Optional[str] = ..., user: _Optional[str] = ..., labels: _Optional[str] = ...) -> None: ...

class DescribedTrack(_message.Message):
    __slots__ = ("media", "control", "upstream_url", "coding", "clock_rate")
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_URL_FIELD_NUMBER: _ClassVar[int]
    CODING_FIELD_NUMBER: _ClassVar[int]
    CLOCK_RATE_FIELD_NUMBER: _ClassVar[int]
    media: str
    control: str
    upstream_url: str
    coding: _containers.RepeatedScalarFieldContainer[str]
    clock_rate: int
    def __init__(self, media: _Optional[str] = ..., control: _Optional[str] = ..., upstream_url: _Optional[str] = ..., coding: _Optional[_Iterable[str]] = ..., clock_rate: _Optional[int] = ...) -> None: ...

class TrackWay(_message.Message):
    __slots__ = ("upstream_url", "media", "relay_id", "client_transport", "camera_transport")
    UPSTREAM_URL_FIELD_NUMBER: _ClassVar[int]
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    RELAY_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_TRANSPORT_FIELD_NUMBER: _ClassVar[int]
    CAMERA_TRANSPORT_FIELD_NUMBER: _ClassVar[int]
    upstream_url: str
    media: str
    relay_id: str
    client_transport: str
    camera_transport: str
    def __init__(self, upstream_url: _Optional[str] = ..., media: _Optional[str] = ..., relay_id: _Optional[str] = ..., client_transport: _Optional[str] = ..., camera_transport: _Optional[str] = ...) -> None: ...

class ChosenEndpoint(_message.Message):
    __slots__ = ("name", "address", "port", "base_path", "path", "transport", "credentials")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    BASE_PATH_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    TRANSPORT_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    name: str
    address: str
    port: int
    base_path: str
    path: str
    transport: str
    credentials: str
    def __init__(self, name: _Optional[str] = ..., address: _Optional[str] = ..., port: _Optional[int] = ..., base_path: _Optional[str] = ..., path: _Optional[str] = ..., transport: _Optional[str] = ..., credentials: _Optional[str] = ...) -> None: ...

class CameraSession(_message.Message):
    __slots__ = ("id", "timeout", "methods", "version")
    ID_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    id: str
    timeout: int
    methods: _containers.RepeatedScalarFieldContainer[str]
    version: str
    def __init__(self, id: _Optional[str] = ..., timeout: _Optional[int] = ..., methods: _Optional[_Iterable[str]] = ..., version: _Optional[str] = ...) -> None: ...

class ClaimSession(_message.Message):
    __slots__ = ("session_id", "client_address")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    client_address: str
    def __init__(self, session_id: _Optional[str] = ..., client_address: _Optional[str] = ...) -> None: ...

class SessionLeft(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class Draining(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SessionHanded(_message.Message):
    __slots__ = ("session", "relays")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    RELAYS_FIELD_NUMBER: _ClassVar[int]
    session: Session
    relays: _containers.RepeatedCompositeFieldContainer[HandedRelay]
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ..., relays: _Optional[_Iterable[_Union[HandedRelay, _Mapping]]] = ...) -> None: ...

class HandedRelay(_message.Message):
    __slots__ = ("relay", "slot")
    RELAY_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    relay: OpenRelay
    slot: Slot
    def __init__(self, relay: _Optional[_Union[OpenRelay, _Mapping]] = ..., slot: _Optional[_Union[Slot, _Mapping]] = ...) -> None: ...

class LeaveSession(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class ClaimRefused(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class TunnelReport(_message.Message):
    __slots__ = ("withdrawn", "given_up", "offered", "sought")
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    GIVEN_UP_FIELD_NUMBER: _ClassVar[int]
    OFFERED_FIELD_NUMBER: _ClassVar[int]
    SOUGHT_FIELD_NUMBER: _ClassVar[int]
    withdrawn: _containers.RepeatedScalarFieldContainer[bytes]
    given_up: _containers.RepeatedScalarFieldContainer[bytes]
    offered: _containers.RepeatedCompositeFieldContainer[TunnelOffer]
    sought: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, withdrawn: _Optional[_Iterable[bytes]] = ..., given_up: _Optional[_Iterable[bytes]] = ..., offered: _Optional[_Iterable[_Union[TunnelOffer, _Mapping]]] = ..., sought: _Optional[_Iterable[bytes]] = ...) -> None: ...

class TunnelOffer(_message.Message):
    __slots__ = ("tunnel", "ticket", "certificate")
    TUNNEL_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    tunnel: bytes
    ticket: str
    certificate: bytes
    def __init__(self, tunnel: _Optional[bytes] = ..., ticket: _Optional[str] = ..., certificate: _Optional[bytes] = ...) -> None: ...

class TunnelFound(_message.Message):
    __slots__ = ("tunnel", "address", "port", "ticket", "certificate")
    TUNNEL_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    tunnel: bytes
    address: str
    port: int
    ticket: str
    certificate: bytes
    def __init__(self, tunnel: _Optional[bytes] = ..., address: _Optional[str] = ..., port: _Optional[int] = ..., ticket: _Optional[str] = ..., certificate: _Optional[bytes] = ...) -> None: ...
