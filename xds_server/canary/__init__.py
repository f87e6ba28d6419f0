"""Canaries: backends whose share of a route's sessions follows what is measured of them. Pure; time is an argument."""

from xds_server.canary.controller import CanaryController, RouteStep
from xds_server.canary.evidence import Evidence
from xds_server.canary.rollout import Phase, Rollout, Step

__all__ = ["CanaryController", "Evidence", "Phase", "Rollout", "RouteStep", "Step"]
