"""YAML text → trees of nodes that know their lines.

Built from the parser's events, not by PyYAML's own composer, for three reasons: depth and size are bounded while
reading (an alias counts as all that it stands for, so "billion laughs" ends at the limit), duplicate keys are seen, and
plain scalars follow YAML 1.2's core schema: `no` and `12:30` are strings, as writers of cameras' names expect.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from itertools import islice
from typing import Any

import yaml

from mesh.documents.problems import FieldPath

# Deeper than any document of ours; keeps the recursion here far from Python's limit.
MAX_DEPTH = 64
# Values in one file, aliases expanded: a file of the largest size allowed with nothing but short fields.
MAX_NODES = 1_000_000

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# Nineteen digits hold every 64-bit number; anything longer stays a string.
_INT = re.compile(r"[-+]?[0-9]{1,19}")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,16}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,40}|[0-9]{1,40}(\.[0-9]{0,40}|(?=[eE])))([eE][-+]?[0-9]{1,3})?")
_STRING_TAGS = frozenset({"!", "tag:yaml.org,2002:str"})
_COLLECTION_TAGS = frozenset({"!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlError(Exception):
    """Text that is not YAML, or more than we take. `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A value in a mapping, and the line of its key."""

    key_line: int
    node: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One YAML value. `content` is a scalar, a tuple of nodes, or entries by key; `size` counts the values in it."""

    line: int
    content: object
    size: int = 1

    def plain(self) -> object:
        """The value as Python's own types. A mapping's null values count as absent, as in Kubernetes."""
        if isinstance(self.content, dict):
            values = ((key, entry.node.plain()) for key, entry in self.content.items())
            return {key: value for key, value in values if value is not None}
        if isinstance(self.content, tuple):
            return [node.plain() for node in self.content]
        return self.content

    def get(self, key: str) -> object:
        """The scalar under `key` of this mapping, or None."""
        entry = self.content.get(key) if isinstance(self.content, dict) else None
        return entry.node.content if entry is not None else None

    def line_of(self, path: FieldPath) -> int:
        """The line of the value at `path`, or of the innermost value around it that is there."""
        node, line = self, self.line
        for part in path:
            if isinstance(node.content, dict) and part in node.content:
                entry: Entry = node.content[part]
                node, line = entry.node, entry.key_line
            elif isinstance(node.content, tuple) and isinstance(part, int) and part < len(node.content):
                node = node.content[part]
                line = node.line
            else:
                break
        return line


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateKey:
    """A key that a mapping has twice; YAML keeps the second without a word, we refuse it."""

    path: FieldPath
    line: int
    first_line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlDocument:
    """One document of a file."""

    root: Node
    duplicates: tuple[DuplicateKey, ...] = ()


def parse_yaml(text: str) -> Iterator[YamlDocument]:
    """The documents of a file, one by one; empty ones are left out. Raises YamlError at the first thing unreadable."""
    try:
        yield from _Builder(yaml.parse(text, Loader=_LOADER)).documents()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line if mark else 0
        raise YamlError(f"not YAML: {_tab(text, line) or error.problem or error.context}", line + 1) from error
    except yaml.YAMLError as error:
        reason = getattr(error, "reason", None) or str(error)
        raise YamlError(f"not YAML: {reason}", 1) from error


def _tab(text: str, number: int) -> str | None:
    """What is wrong with a line that cannot be read, if it is a tab; parsers say that in riddles."""
    line = next(islice(StringIO(text), number, None), "")
    indentation = line[: len(line) - len(line.lstrip())]
    return "a tab in the indentation; YAML allows only spaces there" if "\t" in indentation else None


@dataclass(slots=True)
class _Builder:
    """Recursive descent over the parser's events."""

    events: Iterator[Any]
    total: int = 0
    anchors: dict[str, Node] = field(default_factory=dict)
    duplicates: list[DuplicateKey] = field(default_factory=list)

    def documents(self) -> Iterator[YamlDocument]:
        for event in self.events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            self.anchors, self.duplicates = {}, []
            root = self._node(next(self.events), ())
            if root.content is not None:
                yield YamlDocument(root=root, duplicates=tuple(self.duplicates))

    def _node(self, event: Any, path: FieldPath) -> Node:
        line = event.start_mark.line + 1
        if len(path) > MAX_DEPTH:
            raise YamlError(f"nested deeper than {MAX_DEPTH} levels", line)
        if isinstance(event, yaml.AliasEvent):
            node = self._alias(event.anchor, line)
        else:
            self._count(1, line)
            node = self._build(event, line, path)
            if event.anchor is not None:
                self.anchors[event.anchor] = node
        return node

    def _alias(self, anchor: str | None, line: int) -> Node:
        if anchor is None or anchor not in self.anchors:
            raise YamlError(f"*{anchor} refers to nothing before it", line)
        node = self.anchors[anchor]
        self._count(node.size, line)
        return node

    def _count(self, size: int, line: int) -> None:
        self.total += size
        if self.total > MAX_NODES:
            raise YamlError(f"more than {MAX_NODES} values, aliases expanded", line)

    def _build(self, event: Any, line: int, path: FieldPath) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return Node(line=line, content=_scalar(event, line))
        if event.tag is not None and event.tag not in _COLLECTION_TAGS:
            raise YamlError(f"the tag {event.tag} is not supported", line)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(line, path)
        return self._mapping(line, path)

    def _sequence(self, line: int, path: FieldPath) -> Node:
        nodes: list[Node] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            nodes.append(self._node(event, (*path, len(nodes))))
        return Node(line=line, content=tuple(nodes), size=1 + sum(node.size for node in nodes))

    def _mapping(self, line: int, path: FieldPath) -> Node:
        entries: dict[str, Entry] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key_line = event.start_mark.line + 1
            if not isinstance(event, yaml.ScalarEvent):
                raise YamlError("a key must be plain text", key_line)
            key = event.value
            entry = Entry(key_line=key_line, node=self._node(next(self.events), (*path, key)))
            first = entries.setdefault(key, entry)
            if first is not entry:
                self.duplicates.append(DuplicateKey(path=(*path, key), line=key_line, first_line=first.key_line))
        return Node(line=line, content=entries, size=1 + sum(entry.node.size for entry in entries.values()))


def _scalar(event: Any, line: int) -> object:
    if event.tag is not None:
        if event.tag not in _STRING_TAGS:
            raise YamlError(f"the tag {event.tag} is not supported", line)
        return event.value
    return _resolve(event.value) if event.implicit[0] else event.value


def _resolve(text: str) -> object:
    """A plain scalar by the core schema (YAML 1.2.2, section 10.3.2)."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    if _HEX.fullmatch(text):
        return int(text, 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
