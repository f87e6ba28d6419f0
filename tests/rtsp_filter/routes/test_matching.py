"""The index of a virtual host finds what trying every route would find."""

from hypothesis import given
from hypothesis import strategies as st

from mesh.regex import compile_regex
from rtsp_filter.routes.conditions import HeaderCondition, TextCondition, TextKind
from rtsp_filter.routes.matching import MatchKind, PathMatcher, RouteEntry, VirtualHost
from rtsp_filter.routes.request import RouteRequest

_paths = st.sampled_from(["/", "/a", "/a/", "/a/b", "/ab", "/b", "/b/a/b", "//a", "/a//b"])
_plain = st.builds(
    PathMatcher,
    kind=st.sampled_from([MatchKind.EXACT, MatchKind.PREFIX, MatchKind.PATH_PREFIX]),
    value=_paths,
)
_regexes = st.sampled_from(["/a.*", "/[ab]/?", ".*b"]).map(
    lambda pattern: PathMatcher(kind=MatchKind.REGEX, value=pattern, regex=compile_regex(pattern))
)


_setup_only = HeaderCondition(name=":method", value=TextCondition(kind=TextKind.EXACT, value="SETUP"))
_routes = st.builds(
    RouteEntry,
    name=st.just("r"),
    match=_plain | _regexes,
    clusters=st.just(()),
    conditions=st.sampled_from([(), (_setup_only,)]),
)


@given(st.lists(_routes, max_size=8).map(tuple), _paths)
def test_the_first_match_is_found(routes: tuple[RouteEntry, ...], path: str) -> None:
    expected = next((route for route in routes if route.match.matches(path) and not route.conditions), None)
    assert VirtualHost(name="any", domains=("*",), routes=routes).find(RouteRequest(host="h", path=path)) is expected
