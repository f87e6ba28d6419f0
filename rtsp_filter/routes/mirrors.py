"""What of a route's sessions another cluster gets as well, to nobody's eyes, as Envoy's API says it.

Envoy API: config.route.v3.RouteAction.RequestMirrorPolicy, type.v3.FractionalPercent.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from envoy.type.v3 import percent_pb2

from rtsp_filter.resources.reading import only

# Sessions have no authority of their own, a camera is asked by its own name: with or without a suffix is the same.
_POLICY_FIELDS = {"cluster", "runtime_fraction", "disable_shadow_host_suffix_append"}
_DENOMINATORS = {
    percent_pb2.FractionalPercent.HUNDRED: 100,
    percent_pb2.FractionalPercent.TEN_THOUSAND: 10_000,
    percent_pb2.FractionalPercent.MILLION: 1_000_000,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """A cluster where `numerator` of `denominator` sessions are set up as well."""

    cluster: str
    numerator: int = 100
    denominator: int = 100

    @property
    def shares(self) -> tuple[tuple[Hashable, int], ...]:
        """Of sessions that are mirrored, and of those that are not."""
        return (True, self.numerator), (False, self.denominator - self.numerator)

    def __str__(self) -> str:
        return f"{100 * self.numerator / self.denominator:.3g} % are set up at backend {self.cluster} as well"


def read_mirrors(action: Any) -> tuple[Mirror, ...]:
    """The mirrors of a RouteAction. Raises ValueError for what cannot be honoured."""
    return tuple(_mirror(policy) for policy in action.request_mirror_policies)


def _mirror(policy: Any) -> Mirror:
    only(policy, _POLICY_FIELDS)
    if not policy.cluster:
        raise ValueError("RequestMirrorPolicy.cluster is missing")
    if not policy.HasField("runtime_fraction"):
        return Mirror(cluster=policy.cluster)
    only(policy.runtime_fraction, {"default_value"})
    if not policy.runtime_fraction.HasField("default_value"):
        raise ValueError("RuntimeFractionalPercent.default_value is missing")
    part = policy.runtime_fraction.default_value
    denominator = _DENOMINATORS[part.denominator]
    # Of a part that is more than all, all is left (Envoy: Runtime::Snapshot::featureEnabled).
    return Mirror(cluster=policy.cluster, numerator=min(part.numerator, denominator), denominator=denominator)
