"""The index of a virtual host finds what trying every route would find."""

from hypothesis import given
from hypothesis import strategies as st

from mesh.regex import compile_regex
from rtsp_filter.route_matching import MatchKind, PathMatcher, RouteEntry, VirtualHost

_paths = st.sampled_from(["/", "/a", "/a/", "/a/b", "/ab", "/b", "/b/a/b", "//a", "/a//b"])
_plain = st.builds(
    PathMatcher,
    kind=st.sampled_from([MatchKind.EXACT, MatchKind.PREFIX, MatchKind.PATH_PREFIX]),
    value=_paths,
)
_regexes = st.sampled_from(["/a.*", "/[ab]/?", ".*b"]).map(
    lambda pattern: PathMatcher(kind=MatchKind.REGEX, value=pattern, regex=compile_regex(pattern))
)


@given(st.lists(_plain | _regexes, max_size=8), _paths)
def test_the_first_match_is_found(matchers: list[PathMatcher], path: str) -> None:
    routes = tuple(RouteEntry(name=str(i), match=matcher, clusters=()) for i, matcher in enumerate(matchers))
    expected = next((route for route in routes if route.match.matches(path)), None)
    assert VirtualHost(name="any", domains=("*",), routes=routes).find(path) is expected
