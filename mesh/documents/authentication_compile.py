"""AuthenticationFilter and Secret documents → the users of the mesh, their passwords hashed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mesh.documents.authentication import AuthenticationFilter
from mesh.documents.loaded import Documents, Loaded, object_name
from mesh.documents.problems import DocumentProblem
from mesh.documents.secret import Secret
from mesh.objects import ObjectName
from mesh.users import User, Users, UsersError, joined, read_users, user_of

# The key of a Secret under which Apache's htdigest writes users, as Envoy Gateway has `.htpasswd`.
HTDIGEST = ".htdigest"
_USERNAME, _PASSWORD = "username", "password"


def compile_users(documents: Documents) -> tuple[Mapping[ObjectName, Users], tuple[DocumentProblem, ...]]:
    """The users of every AuthenticationFilter, and what is wrong with them. A Secret that is not there is a dangling
    reference, and none of these problems."""
    secrets = {object_name(item.document): item for item in documents.of_kind(Secret)}
    found: dict[ObjectName, Users] = {}
    problems: list[DocumentProblem] = []
    for loaded in documents.of_kind(AuthenticationFilter):
        work = _Work(loaded, secrets)
        users = work.users()
        problems += work.problems
        if users is not None:
            found[object_name(loaded.document)] = users
    return found, tuple(problems)


class _Work:
    """One AuthenticationFilter."""

    def __init__(self, loaded: Loaded[AuthenticationFilter], secrets: Mapping[ObjectName, Loaded[Secret]]) -> None:
        self._loaded = loaded
        self._spec = loaded.document.spec
        namespace = loaded.document.metadata.namespace
        self._secrets = [secrets.get(ObjectName(namespace, each.secret_ref.name)) for each in self._spec.users]
        self.problems: list[DocumentProblem] = []

    def users(self) -> Users | None:
        """All users together; None where something is wrong, or missing."""
        users = list(self._all())
        if self.problems or None in self._secrets:
            return None
        try:
            return joined(self._spec.realm, users)
        except UsersError as error:
            self.problems.append(self._loaded.problem(("spec", "users"), str(error)))
            return None

    def _all(self) -> Iterator[User]:
        for index, secret in enumerate(self._secrets):
            if secret is not None:
                yield from self._of(secret, index)

    def _of(self, loaded: Loaded[Secret], index: int) -> Iterator[User]:
        """The users of one Secret. What is wrong in it is said of the Secret, what is missing of the reference."""
        secret = loaded.document
        texts = {key: self._text(loaded, key) for key in (HTDIGEST, _USERNAME, _PASSWORD) if _has(secret, key)}
        if None in texts.values():
            return
        key = _USERNAME
        try:
            if HTDIGEST in texts:
                key = HTDIGEST
                yield from read_users(texts[HTDIGEST] or "", self._spec.realm)
            elif _USERNAME in texts and _PASSWORD in texts:
                yield user_of(texts[_USERNAME] or "", self._spec.realm, texts[_PASSWORD] or "")
            else:
                message = f'Secret {object_name(secret)} has neither "{HTDIGEST}" nor "{_USERNAME}" and "{_PASSWORD}"'
                self.problems.append(self._loaded.problem(("spec", "users", index, "secretRef", "name"), message))
        except UsersError as error:
            self.problems.append(loaded.problem((_field(secret, key), key), str(error)))

    def _text(self, loaded: Loaded[Secret], key: str) -> str | None:
        try:
            return loaded.document.text(key)
        except ValueError as error:
            self.problems.append(loaded.problem((_field(loaded.document, key), key), str(error)))
            return None


def _has(secret: Secret, key: str) -> bool:
    return key in secret.string_data or key in secret.data


def _field(secret: Secret, key: str) -> str:
    return "stringData" if key in secret.string_data else "data"
