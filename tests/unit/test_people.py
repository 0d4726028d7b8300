"""People on a each real database: what lets somebody in, and what ends that at once."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import create_engine, text

from orchestrator.errors import BadRequest, Conflict, NotFound, TooManyRequests, Unauthorized
from orchestrator.limits import PASSWORD_LONGEST
from orchestrator.people import passwords
from orchestrator.people.attempts import FORGOTTEN_AFTER_S, Attempts
from orchestrator.people.first_admin import make_first_admin
from orchestrator.people.passwords import hashed, verify
from orchestrator.people.secrets import new_secret, parse_secret
from orchestrator.people.service import TRIES_BY_ADDRESS, TRIES_BY_NAME, People, Person
from orchestrator.store.database import Database
from orchestrator.store.people import API, LOGIN, PeopleStore
from tests.unit.conftest import Ask

PASSWORD = "a good long password"


REAL_HASHER = passwords._HASHER


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same hashes for less: what they cost is no subject of these tests, but of one."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_HASHER", quick)
    monkeypatch.setattr(passwords, "_NOBODYS", quick.hash("nobody has this password"))


def test_a_hash_costs_what_rfc_9106_recommends() -> None:
    assert (REAL_HASHER.type.name, REAL_HASHER.time_cost, REAL_HASHER.memory_cost) == ("ID", 3, 65536)


@pytest.fixture
def people(database: Database) -> People:
    return People(PeopleStore(database))


@pytest.fixture
async def ann(people: People) -> Person:
    return await people.add("Ann", "member", PASSWORD)


async def test_a_password_opens_a_login_that_stands_for_its_owner(people: People, ann: Person) -> None:
    person, login = await people.sign_in(" ANN ", PASSWORD, "::1", "a browser")
    assert person == ann == (await people.identify(login)).person
    assert (ann.name, ann.role) == ("ann", "member")


@pytest.mark.parametrize(
    ("name", "password"), [("ann", "wrong"), ("bob", PASSWORD), ("ann", ""), ("", ""), ("ann", "x" * 10**6)]
)
async def test_whichever_is_wrong_is_not_told(people: People, ann: Person, name: str, password: str) -> None:
    with pytest.raises(Unauthorized) as refused:
        await people.sign_in(name, password, "::1", "")
    assert refused.value.code == "wrong_password"
    assert refused.value.detail.startswith("The name or the password is wrong.")


async def test_who_has_no_password_cannot_sign_in_with_one(people: People) -> None:
    await people.add("robot", "member", None)
    for password in ("", "None", PASSWORD):
        with pytest.raises(Unauthorized):
            await people.sign_in("robot", password, "::1", "")


async def test_many_tries_with_a_name_have_to_wait_and_the_right_password_as_well(people: People, ann: Person) -> None:
    for number in range(TRIES_BY_NAME[0]):
        with pytest.raises(Unauthorized):
            await people.sign_in("ann", "wrong", f"10.0.0.{number}", "")
    with pytest.raises(TooManyRequests) as refused:
        await people.sign_in("ann", PASSWORD, "::2", "")
    assert refused.value.code == "too_many_tries"
    assert 0 < refused.value.retry_after_s <= TRIES_BY_NAME[1]


async def test_many_names_from_one_address_have_to_wait(people: People, ann: Person) -> None:
    for number in range(TRIES_BY_ADDRESS[0]):
        with pytest.raises(Unauthorized):
            await people.sign_in(f"name{number}", "wrong", "::1", "")
    with pytest.raises(TooManyRequests):
        await people.sign_in("ann", PASSWORD, "::1", "")
    await people.sign_in("ann", PASSWORD, "::2", "")


async def test_tries_at_the_same_time_are_counted_like_those_after_each_other(people: People, ann: Person) -> None:
    tries = [people.sign_in("ann", "wrong", "::1", "") for _ in range(20)]
    codes = [error.code for error in await asyncio.gather(*tries, return_exceptions=True)]  # type: ignore[union-attr]
    assert sorted(codes) == ["too_many_tries"] * (20 - TRIES_BY_NAME[0]) + ["wrong_password"] * TRIES_BY_NAME[0]


async def test_who_knows_one_password_gets_no_more_tries_at_others(people: People, ann: Person) -> None:
    with pytest.raises(TooManyRequests):
        for number in range(2 * TRIES_BY_ADDRESS[0]):
            with pytest.raises(Unauthorized):
                await people.sign_in(f"name{number}", "wrong", "::1", "")
            await people.sign_in("ann", PASSWORD, "::1", "")


async def test_a_password_that_changes_while_it_is_looked_at_opens_nothing(
    people: People, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()

    def slow(stored: str | None, password: str) -> bool:
        asyncio.run_coroutine_threadsafe(people.set_password("ann", "another good password"), loop).result()
        return verify(stored, password)

    monkeypatch.setattr("orchestrator.people.service.verify", slow)
    with pytest.raises(Unauthorized):
        await people.sign_in("ann", PASSWORD, "::1", "")


async def test_the_first_admin_is_made_once_and_where_there_is_nobody(people: People) -> None:
    made_up = await people.make_first_admin(None)
    assert made_up is not None and len(made_up) >= 20
    assert await people.make_first_admin("another good password") is None
    person, _ = await people.sign_in("admin", made_up, "::1", "")
    assert (person.id, person.role) == ("local", "admin")


async def test_the_last_admin_stays_one(people: People) -> None:
    await people.make_first_admin(PASSWORD)
    await people.add("ann", "member", PASSWORD)
    with pytest.raises(Conflict):
        await people.set_disabled("admin", disabled=True)
    with pytest.raises(Conflict):
        await people.set_role("admin", "member")
    await people.set_role("ann", "admin")
    await people.set_disabled("admin", disabled=True)
    with pytest.raises(Conflict):
        await people.set_role("ann", "member")


async def test_who_changes_their_password_has_to_know_it(people: People, ann: Person) -> None:
    _, login = await people.sign_in("ann", PASSWORD, "::1", "")
    with pytest.raises(Unauthorized):
        await people.change_password(ann, "wrong", "another good password", "::1")
    assert (await people.identify(login)).person == ann
    await people.change_password(ann, PASSWORD, "another good password", "::1")
    with pytest.raises(Unauthorized):
        await people.identify(login)


async def test_another_password_ends_logins_and_keeps_tokens(people: People, ann: Person) -> None:
    _, login = await people.sign_in("ann", PASSWORD, "::1", "")
    _, token = await people.add_token(ann, "a script")
    await people.set_password("ann", "another good password")
    with pytest.raises(Unauthorized):
        await people.identify(login)
    assert (await people.identify(token)).person == ann
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
    assert (await people.identify(token)).person == ann
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


async def test_no_secret_is_kept(people: People, ann: Person, ask: Ask) -> None:
    _, login = await people.sign_in("ann", PASSWORD, "::1", "")
    _, token = await people.add_token(ann, "a script")
    found = str(ask("SELECT * FROM users") + ask("SELECT * FROM user_secrets"))
    for secret in (PASSWORD, login.split("_", 2)[2], token.split("_", 2)[2]):
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


@pytest.mark.parametrize("password", ["", "short", "x" * (PASSWORD_LONGEST + 1)])
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
    attempts = Attempts(5, 300)
    for _ in range(5):
        assert attempts.wait_s("a", 0) == 0
        attempts.failed("a", 0)
    first = attempts.wait_s("a", 0)
    attempts.failed("a", 10)
    assert 0 < first < attempts.wait_s("a", 10) <= 300
    assert attempts.wait_s("a", 10 + 300) == 0
    assert attempts.wait_s("b", 0) == 0
    attempts.failed("a", 11 + FORGOTTEN_AFTER_S)
    assert attempts.wait_s("a", 11 + FORGOTTEN_AFTER_S) == 0
    for number in range(20_000):
        attempts.failed(f"{number}", 0)
    assert attempts.wait_s("a", 11 + FORGOTTEN_AFTER_S) == 0


async def test_the_file_with_the_first_admins_password_goes_when_it_opens_nothing(
    people: People, tmp_path: Path
) -> None:
    await make_first_admin(people, None, tmp_path)
    file = tmp_path / "first-admin-password"
    await make_first_admin(people, None, tmp_path)
    await people.sign_in("admin", file.read_text().strip(), "::1", "")
    await people.set_password("admin", PASSWORD)
    await make_first_admin(people, None, tmp_path)
    assert not file.exists()


async def test_a_login_does_not_slip_in_beside_another_password(database: Database, database_url: str) -> None:
    """Another process gives the person a new password, and has ended their logins, at this very moment."""
    store = PeopleStore(database)
    user = await store.add("1" * 32, "ann", "member", "the old hash")
    engine = create_engine(database_url)
    with engine.connect() as other:
        other.execute(text("UPDATE users SET password_hash = 'the new hash'"))
        coming_in = asyncio.create_task(store.add_login("2" * 16, user, "", "x", datetime.now(UTC) + timedelta(days=1)))
        await asyncio.wait({coming_in}, timeout=0.3)
        other.commit()
    engine.dispose()
    assert not await coming_in
    assert await store.secrets(user.id, LOGIN) == []
