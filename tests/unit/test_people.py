"""People on a real SQLite file: what lets somebody in, and what ends that at once."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.errors import BadRequest, Conflict, NotFound, Unauthorized
from orchestrator.people.attempts import FORGOTTEN_AFTER_S, FREE_TRIES, LONGEST_PAUSE_S, Attempts
from orchestrator.people.passwords import LONGEST, hashed, verify
from orchestrator.people.secrets import new_secret, parse_secret
from orchestrator.people.service import People, Person
from orchestrator.store.database import Database
from orchestrator.store.people import API, LOGIN, PeopleStore

PASSWORD = "a good long password"


@pytest.fixture
async def people(tmp_path: Path) -> AsyncIterator[People]:
    database = Database(f"sqlite:///{tmp_path / 'glovebox.sqlite'}")
    await database.open()
    yield People(PeopleStore(database))
    await database.close()


@pytest.fixture
async def ann(people: People) -> Person:
    return await people.add("Ann", "member", PASSWORD)


def kept(tmp_path: Path) -> str:
    connection = sqlite3.connect(tmp_path / "glovebox.sqlite")
    dump = "\n".join(connection.iterdump())
    connection.close()
    return dump


async def test_a_password_opens_a_login_that_stands_for_its_owner(people: People, ann: Person) -> None:
    person, login = await people.sign_in(" ANN ", PASSWORD, "::1", "a browser")
    assert person == ann == await people.identify(login)
    assert (ann.name, ann.role) == ("ann", "member")


@pytest.mark.parametrize(
    ("name", "password"), [("ann", "wrong"), ("bob", PASSWORD), ("ann", ""), ("", ""), ("ann", "x" * 10**6)]
)
async def test_whichever_is_wrong_is_not_told(people: People, ann: Person, name: str, password: str) -> None:
    with pytest.raises(Unauthorized) as refused:
        await people.sign_in(name, password, "::1", "")
    assert (refused.value.code, refused.value.detail) == ("wrong_password", "The name or the password is wrong.")


async def test_who_has_no_password_cannot_sign_in_with_one(people: People) -> None:
    await people.add("robot", "member", None)
    for password in ("", "None", PASSWORD):
        with pytest.raises(Unauthorized):
            await people.sign_in("robot", password, "::1", "")


async def test_many_tries_have_to_wait_and_the_right_password_as_well(people: People, ann: Person) -> None:
    for _ in range(FREE_TRIES):
        with pytest.raises(Unauthorized):
            await people.sign_in("ann", "wrong", "::1", "")
    with pytest.raises(Unauthorized) as refused:
        await people.sign_in("ann", PASSWORD, "::2", "")
    assert refused.value.code == "too_many_tries"
    with pytest.raises(Unauthorized) as refused:
        await people.sign_in("somebody-else", PASSWORD, "::1", "")
    assert refused.value.code == "too_many_tries"


async def test_another_password_ends_logins_and_keeps_tokens(people: People, ann: Person) -> None:
    _, login = await people.sign_in("ann", PASSWORD, "::1", "")
    _, token = await people.add_token(ann, "a script")
    await people.set_password("ann", "another good password")
    with pytest.raises(Unauthorized):
        await people.identify(login)
    assert await people.identify(token) == ann
    with pytest.raises(Unauthorized):
        await people.sign_in("ann", PASSWORD, "::1", "")
    await people.sign_in("ann", "another good password", "::1", "")


async def test_who_is_shut_out_is_out_with_every_secret(people: People, ann: Person) -> None:
    _, login = await people.sign_in("ann", PASSWORD, "::1", "")
    _, token = await people.add_token(ann, "a script")
    await people.set_disabled("ann", disabled=True)
    for secret in (login, token):
        with pytest.raises(Unauthorized):
            await people.identify(secret)
    with pytest.raises(Unauthorized):
        await people.sign_in("ann", PASSWORD, "::1", "")
    await people.set_disabled("ann", disabled=False)
    assert await people.identify(token) == ann
    with pytest.raises(Unauthorized):
        await people.identify(login)


async def test_a_token_is_revoked_by_its_owner_alone(people: People, ann: Person) -> None:
    bob = await people.add("bob", "admin", PASSWORD)
    record, token = await people.add_token(ann, "a script")
    with pytest.raises(NotFound):
        await people.revoke(bob, record.id)
    assert [one.name for one in await people.tokens(ann)] == ["a script"]
    await people.revoke(ann, record.id)
    assert await people.tokens(ann) == []
    with pytest.raises(Unauthorized):
        await people.identify(token)


async def test_no_secret_is_kept(people: People, ann: Person, tmp_path: Path) -> None:
    _, login = await people.sign_in("ann", PASSWORD, "::1", "")
    _, token = await people.add_token(ann, "a script")
    found = kept(tmp_path)
    for secret in (PASSWORD, login.split("_")[2], token.split("_")[2]):
        assert secret not in found
    assert "$argon2id$" in found


async def test_half_a_secret_or_another_kind_of_it_is_none(people: People, ann: Person) -> None:
    _, token = await people.add_token(ann, "a script")
    kind, number, proof = token.split("_", 2)
    others = ["", token[:-1], token + "x", token.upper(), f"{LOGIN}_{number}_{proof}", f"{kind}_{number}_{'A' * 43}"]
    for other in [*others, f"{kind}_{'0' * 16}_{proof}", f" {token}", f"{token}\n", "\x00", "gbx_" * 1000]:
        with pytest.raises(Unauthorized):
            await people.identify(other)


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "a/b", "ann\x00", "änn", "a" * 61, "../ann", "a\u200bb"])
async def test_names_that_could_be_mistaken_are_refused(people: People, name: str) -> None:
    with pytest.raises(BadRequest):
        await people.add(name, "member", PASSWORD)


async def test_a_name_is_taken_however_it_is_written(people: People, ann: Person) -> None:
    for name in ("ann", "ANN", "Ａnn", " ann"):
        with pytest.raises(Conflict):
            await people.add(name, "admin", PASSWORD)


@pytest.mark.parametrize("password", ["", "short", "x" * (LONGEST + 1)])
async def test_bad_passwords_are_refused(people: People, password: str) -> None:
    with pytest.raises(BadRequest):
        await people.add("ann", "member", password)
    assert await people.everybody() == []


def test_a_password_is_the_same_however_a_keyboard_writes_it() -> None:
    assert verify(hashed("pässword-long"), "pa\u0308ssword-long")
    assert not verify("no hash at all", "x" * 10)
    assert not verify(None, "nobody has this password")


def test_secrets_round_trip_and_differ() -> None:
    made = {new_secret(API).told() for _ in range(100)}
    assert len(made) == 100
    for told in made:
        secret = parse_secret(told)
        assert secret is not None and secret.told() == told and secret.proves(secret.kept())


def test_pauses_grow_end_and_are_forgotten() -> None:
    attempts = Attempts()
    for _ in range(FREE_TRIES):
        assert attempts.wait_s("a", 0) == 0
        attempts.failed("a", 0)
    first = attempts.wait_s("a", 0)
    attempts.failed("a", 10)
    assert 0 < first < attempts.wait_s("a", 10) <= LONGEST_PAUSE_S
    assert attempts.wait_s("a", 10 + LONGEST_PAUSE_S) == 0
    assert attempts.wait_s("b", 0) == 0
    attempts.failed("a", 11 + FORGOTTEN_AFTER_S)
    assert attempts.wait_s("a", 11 + FORGOTTEN_AFTER_S) == 0
    for number in range(20_000):
        attempts.failed(f"{number}", 0)
    assert attempts.wait_s("a", 11 + FORGOTTEN_AFTER_S) == 0
