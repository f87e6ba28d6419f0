"""Asks a running mesh's REST API, and says plainly when there is none."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import NoReturn, TypeVar

import httpx
import typer
from pydantic import BaseModel, ValidationError

from api.addresses import AddressError, HostPort
from api.cli.output import fail
from api.models import Problem

# A mesh answers in milliseconds; a machine that swaps may need seconds.
TIMEOUT = 10.0
# What the API answers to an argument that it cannot use, whatever the state of the mesh.
_WRONG_CALL = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
_HTTP = ("http://", "https://")

Model = TypeVar("Model", bound=BaseModel)


def base_url(address: str) -> str:
    """`http://host:port` of an address that may leave `http://` out. Raises typer.BadParameter."""
    if address.startswith(_HTTP):
        return address.rstrip("/")
    try:
        return f"http://{HostPort.parse(address)}"
    except AddressError as error:
        raise typer.BadParameter(str(error), param_hint="--api") from None


def fetch(
    address: str,
    path: str,
    model: type[Model],
    query: Mapping[str, str | list[str]] | None = None,
    *,
    method: str = "GET",
) -> Model:
    """What the API at `address` answers to a request for `path`. Ends the command when that is nothing usable."""
    url = base_url(address)
    try:
        # The environment's HTTP proxies are for other hosts than a mesh's own.
        with httpx.Client(timeout=TIMEOUT, trust_env=False) as client:
            response = client.request(method, url + path, params=query)
    except httpx.TimeoutException:
        fail(f"the mesh at {url} does not answer within {TIMEOUT:.0f} s")
    except (httpx.TransportError, httpx.InvalidURL):
        fail(f"no mesh answers at {url}; start one with msm up, or name another with --api")
    if response.is_error:
        _refused(url, response)
    return _parse(url, response, model)


def _parse(url: str, response: httpx.Response, model: type[Model]) -> Model:
    try:
        return model.model_validate_json(response.content)
    except ValidationError:
        fail(f"what answers at {url} is not the API of a mesh of this version")


def _refused(url: str, response: httpx.Response) -> NoReturn:
    wrong_call = response.status_code in _WRONG_CALL
    fail(_parse(url, response, Problem).detail, code=2 if wrong_call else 1)
