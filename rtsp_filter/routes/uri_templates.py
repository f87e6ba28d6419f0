"""Envoy's URI templates as RE2 expressions: "/cams/{site}/**" (extensions.path.match.uri_template.v3).

`*` is one element of a path, or its beginning where a text follows, `**` any number of elements; `{name}` is `*` with a
name, `{name=a/*}` a pattern with one. Names have no use here, but what Envoy does not take is refused all the same; and
so is an operator behind a text, which Envoy takes for text.
"""

from __future__ import annotations

import re
from itertools import chain

from mesh.regex import quote

# Envoy's own bounds.
MAX_VARIABLES = 5
MAX_NAME_LENGTH = 16

_LITERAL = r"a-zA-Z0-9\-._~%!$&'()+,;:@="
_OPERATORS = {"*": rf"[{_LITERAL}*]+", "**": rf"[{_LITERAL}*/]*"}
_ELEMENT = re.compile(rf"(\*\*|\*|\{{\}})?([{_LITERAL}]*)")
_TOKEN = re.compile(rf"\*\*|\*|/|[{_LITERAL}]+")
_VARIABLE = re.compile(r"\{([^{}=]*)(?:=([^{}]*))?\}")
_NAME = re.compile(rf"[a-zA-Z][a-zA-Z0-9_]{{0,{MAX_NAME_LENGTH - 1}}}", re.ASCII)


def template_regex(template: str) -> str:
    """An expression for the paths that fit. Raises ValueError for what is no template of Envoy's."""
    try:
        return _regex(template)
    except ValueError as error:
        raise ValueError(f'the URI template "{template}" cannot be used: {error}') from None


def _regex(template: str) -> str:
    if not template.startswith("/"):
        raise ValueError('it does not begin with "/"')
    _check_names([found[1] for found in _VARIABLE.finditer(template)])
    patterns = ["*" if found[2] is None else found[2] for found in _VARIABLE.finditer(template)]
    *inner, last = _VARIABLE.sub("{}", template).split("/")[1:]
    for element in (*inner, last or "*", *chain.from_iterable(pattern.split("/") for pattern in patterns)):
        _check_element(element)
    rest = iter(patterns)
    tokens = _TOKEN.findall(_VARIABLE.sub(lambda _: next(rest), template))
    if "**" in [token for token in tokens if token in _OPERATORS][:-1]:
        raise ValueError('an operator comes after "**"')
    return "".join(_OPERATORS.get(token) or quote(token) for token in tokens)


def _check_names(names: list[str]) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f'"{name}" is no name of a variable')
    if len(names) > MAX_VARIABLES or len(set(names)) < len(names):
        raise ValueError(f"a variable is there twice, or there are more than {MAX_VARIABLES}")


def _check_element(element: str) -> None:
    """An operator or variable, a literal text, or the first and then the second."""
    if not element or _ELEMENT.fullmatch(element) is None:
        raise ValueError(f'"{element}" is no operator with or without a text after it, and no text of a path')
