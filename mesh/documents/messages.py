"""pydantic's validation errors → sentences for people who write documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from mesh.documents import backend_tls_policy, gateway, rtsp_route, transport_route
from mesh.documents.base import PATTERN_MEANING
from mesh.documents.problems import FieldPath, field_text

# Long values (a whole certificate in the wrong field) are cut in messages.
MAX_SHOWN = 80

# What a kind's own API has and this version has not: fields, and values of the fields of enumerations.
_NOT_YET_FIELDS: dict[type[BaseModel], frozenset[str]] = {
    rtsp_route.RTSPRoute: rtsp_route.NOT_YET_FIELDS,
    gateway.Gateway: gateway.NOT_YET_FIELDS,
    backend_tls_policy.BackendTLSPolicy: backend_tls_policy.NOT_YET_FIELDS,
    transport_route.UDPRoute: transport_route.NOT_YET_FIELDS,
    transport_route.TCPRoute: transport_route.NOT_YET_FIELDS,
}
_NOT_YET_VALUES: dict[type[BaseModel], dict[str, frozenset[str]]] = {gateway.Gateway: gateway.NOT_YET_VALUES}

_SENTENCES = {
    "missing": "this field is required",
    "string_type": "must be text (in quotes, if it looks like a number)",
    "int_type": "must be a whole number, without quotes",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "too_short": "needs at least {min_length} item(s)",
    "too_long": "has more than {max_length} items",
    "string_too_short": "must not be empty",
    "string_too_long": "is longer than {max_length} characters",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}


def closest(word: str, known: Iterable[str]) -> str | None:
    """What of the known is spelt much like `word`, if anything is."""
    folded = {name.lower(): name for name in known}
    close = get_close_matches(word.lower(), folded, n=1)
    return folded[close[0]] if close else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """` (did you mean "…"?)`, if something known is close to `word`; empty otherwise."""
    return meant(closest(word, known))


def meant(name: object | None) -> str:
    """` (did you mean "…"?)`; empty for None."""
    return "" if name is None else f' (did you mean "{name}"?)'


def explain_validation(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[FieldPath, str]]:
    """Path and sentence of each thing that `model` found wrong."""
    details = error.errors(include_url=False)
    paths = [detail["loc"] for detail in details]
    for detail in details:
        path = detail["loc"]
        if detail["type"] == "too_short" and any(len(p) > len(path) and p[: len(path)] == path for p in paths):
            continue  # its items were refused, so none is left: they say why
        yield path, _sentence(detail, path, model)


def _sentence(detail: Any, path: FieldPath, model: type[BaseModel]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_field(path, model)
    if kind == "enum":
        return _unknown_value(detail["input"], context["expected"], path, model)
    if kind == "string_pattern_mismatch":
        return f"{_shown(detail['input'])} {PATTERN_MEANING[context['pattern']]}"
    if kind == "value_error":
        return str(context["error"])
    sentence = _SENTENCES.get(kind)
    if sentence is None:  # a constraint that no document of ours has today: pydantic's own words
        return f"{_shown(detail['input'])}: {detail['msg']}"
    return sentence.format(**context)


def _unknown_field(path: FieldPath, model: type[BaseModel]) -> str:
    general = field_text(tuple("[]" if isinstance(part, int) else part for part in path)).replace(".[]", "[]")
    if general in _NOT_YET_FIELDS.get(model, ()):
        return f'"{path[-1]}" is not supported yet'
    return f"unknown field{suggestion(str(path[-1]), _fields_at(model, path[:-1]))}"


def _unknown_value(value: object, expected: str, path: FieldPath, model: type[BaseModel]) -> str:
    if model is rtsp_route.RTSPRoute and value in rtsp_route.NOT_YET_FILTERS and "filters" in path:
        return f"the filter {value} is not supported yet; {expected} are"
    if value in _NOT_YET_VALUES.get(model, {}).get(str(path[-1]), ()):
        return f"{value} is not supported yet; {expected} is"
    return f"must be {expected}, not {_shown(value)}"


def _shown(value: object) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _fields_at(model: type[BaseModel], path: FieldPath) -> list[str]:
    """Names of the fields, as documents spell them, of the part at `path`."""
    for part in path:
        if isinstance(part, str):
            inner = next((f for f in model.model_fields.values() if f.alias == part), None)
            nested = _model_in(inner.annotation) if inner is not None else None
            if nested is None:
                return []
            model = nested
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation wraps: `tuple[Model, ...]`, `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, Union, UnionType):
        return next(filter(None, map(_model_in, get_args(annotation))), None)
    return None
