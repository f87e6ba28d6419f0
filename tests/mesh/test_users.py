"""Users and what their passwords are checked with: lines of htdigest in and out, nothing of anybody in what is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.users import User, Users, UsersError, encode_users, joined, read_users, realm_of, user_of

REALM = "cameras"
MD5 = "0123456789abcdef0123456789abcdef"
SHA256 = MD5 * 2
NAMES = st.from_regex(r"[^:#\s][^:\s]*", fullmatch=True).filter(str.isprintable)


def test_a_password_is_hashed_as_rfc_7616_says() -> None:
    # RFC 7616, 3.9.1: its MD5 response is made of this hash.
    mufasa = user_of("Mufasa", "http-auth@example.org", "Circle of Life")
    assert mufasa.md5 == "3d78807defe7de2157e2b0b6573a855f"
    assert mufasa.sha256 == "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232"


def test_lines_of_htdigest_are_read_comments_and_empty_ones_left_out() -> None:
    text = f"# guards\r\n\r\nann:{REALM}:{MD5.upper()}\r\nbob:{REALM}:{SHA256}\n"
    assert read_users(text, REALM) == [User(name="ann", md5=MD5), User(name="bob", sha256=SHA256)]


def test_the_realm_may_have_colons() -> None:
    assert read_users(f"ann:a:b:{MD5}", "a:b") == [User(name="ann", md5=MD5)]
    assert realm_of(f"ann:a:b:{MD5}\n") == "a:b"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"ann:{REALM}:{MD5}\nann:{REALM}", "line 2 is not user:realm:hash"),
        (f"ann:{REALM}:{MD5}0", "line 1 is not user:realm:hash"),
        (f"ann:{REALM}:secret", "line 1 is not user:realm:hash"),
        (f"ann:other:{MD5}", "line 1 is for another realm"),
    ],
)
def test_a_line_that_is_none_is_named_by_its_number_without_what_is_in_it(text: str, said: str) -> None:
    with pytest.raises(UsersError, match=said) as error:
        read_users(text, REALM)
    assert "ann" not in str(error.value)
    assert MD5 not in str(error.value)


def test_the_hashes_of_a_user_may_come_apart() -> None:
    together = joined(REALM, [User(name="ann", md5=MD5), User(name="ann", sha256=SHA256)])
    assert together.users == (User(name="ann", md5=MD5, sha256=SHA256),)


def test_a_user_who_is_there_twice_is_refused() -> None:
    with pytest.raises(UsersError, match="twice"):
        joined(REALM, [User(name="ann", md5=MD5), user_of("ann", REALM, "x")])


def test_what_all_users_can_be_asked_by_is_known_and_there_must_be_such() -> None:
    ann, bob = user_of("ann", REALM, "x"), User(name="bob", md5=MD5)
    mixed = joined(REALM, [ann, bob])
    assert (mixed.have_md5, mixed.have_sha256) == (True, False)
    with pytest.raises(UsersError, match="must have one of them"):
        joined(REALM, [bob, User(name="eve", sha256=SHA256)])
    with pytest.raises(UsersError, match="no user"):
        joined(REALM, [])


@pytest.mark.parametrize(
    ("name", "password"), [("", "x"), ("a:b", "x"), ("a\nb", "x"), (" ann", "x"), ("#ann", "x"), ("ann", "")]
)
def test_names_and_passwords_that_nobody_could_say_are_refused(name: str, password: str) -> None:
    with pytest.raises(UsersError):
        user_of(name, REALM, password)


@given(st.dictionaries(NAMES, st.text(min_size=1), min_size=1))
def test_what_is_written_is_read_again(passwords: dict[str, str]) -> None:
    users = joined(REALM, [user_of(name, REALM, password) for name, password in passwords.items()])
    text = encode_users(users)
    assert joined(realm_of(text), read_users(text, realm_of(text))) == users


def test_nothing_of_a_user_shows_in_a_representation() -> None:
    users = Users(realm=REALM, users=(user_of("ann", REALM, "secret"),))
    assert repr(users) == f"Users(realm='{REALM}')"
    assert repr(users.users[0]) == "User()"
