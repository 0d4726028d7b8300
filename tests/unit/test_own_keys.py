"""Keys that people bring: sealed at rest, opened for their owner and provider alone, never told again."""

import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.config_models import Provider
from orchestrator.errors import BadRequest, NotFound
from orchestrator.people.keys import OwnKeys
from orchestrator.store.database import Database
from orchestrator.store.keys import KeyStore

KEY = "sk-canary-0123456789abcdef"
PROVIDERS = (
    Provider.model_validate({"name": "one", "own_keys": True, "models": ["m"]}),
    Provider.model_validate({"name": "two", "own_keys": True, "models": ["n"]}),
    Provider.model_validate({"name": "closed", "models": ["o"]}),
)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'glovebox.sqlite'}")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def keys(database: Database, tmp_path: Path) -> OwnKeys:
    return OwnKeys(KeyStore(database), tmp_path / "seal", PROVIDERS)


def rows(tmp_path: Path) -> str:
    connection = sqlite3.connect(tmp_path / "glovebox.sqlite")
    dump = "\n".join(connection.iterdump())
    connection.close()
    return dump


async def test_a_key_is_opened_for_its_owner_alone(keys: OwnKeys) -> None:
    await keys.put("ann", "one", f"  {KEY}\n")
    assert await keys.all_of("ann") == {"one": KEY}
    assert await keys.all_of("bob") == {}


async def test_a_key_is_sealed_at_rest_and_shown_as_a_hint(keys: OwnKeys, tmp_path: Path) -> None:
    await keys.put("ann", "one", KEY)
    assert "canary" not in rows(tmp_path)
    (shown,) = await keys.list("ann")
    assert (shown.provider, shown.hint) == ("one", "…cdef")
    assert "canary" not in repr(shown)
    await keys.put("ann", "two", "12345678")
    assert [key.hint for key in await keys.list("ann")] == ["…cdef", "…"]


async def test_the_seal_is_a_file_of_its_own_that_nobody_else_reads_and_that_stays(
    keys: OwnKeys, database: Database, tmp_path: Path
) -> None:
    await keys.put("ann", "one", KEY)
    seal = tmp_path / "seal"
    assert stat.S_IMODE(seal.stat().st_mode) == 0o600
    later = OwnKeys(KeyStore(database), seal, PROVIDERS)
    assert await later.all_of("ann") == {"one": KEY}
    assert {file.name for file in tmp_path.iterdir() if "sqlite" not in file.name} == {"seal"}


async def test_a_key_that_is_moved_to_another_row_is_none(keys: OwnKeys, tmp_path: Path) -> None:
    await keys.put("ann", "one", KEY)
    for change in ("user_id = 'eve'", "provider = 'two', user_id = 'ann'"):
        connection = sqlite3.connect(tmp_path / "glovebox.sqlite")
        with connection:
            connection.execute(f"UPDATE user_keys SET {change}")
        connection.close()
        assert await keys.all_of("eve") == await keys.all_of("ann") == {}


async def test_a_key_whose_seal_is_lost_is_as_good_as_none(keys: OwnKeys, database: Database, tmp_path: Path) -> None:
    await keys.put("ann", "one", KEY)
    later = OwnKeys(KeyStore(database), tmp_path / "another", PROVIDERS)
    assert await later.all_of("ann") == {}
    await later.put("ann", "one", "another-key")
    assert await later.all_of("ann") == {"one": "another-key"}


async def test_the_last_key_counts_and_one_that_is_taken_back_is_gone(keys: OwnKeys, tmp_path: Path) -> None:
    await keys.put("ann", "one", KEY)
    await keys.put("ann", "one", "another-key")
    assert await keys.all_of("ann") == {"one": "another-key"}
    for _ in range(2):
        await keys.remove("ann", "one")
    assert (await keys.all_of("ann"), await keys.list("ann")) == ({}, [])
    assert 'INSERT INTO "user_keys"' not in rows(tmp_path)


@pytest.mark.parametrize("provider", ["closed", "demo", "", "x" * 100])
async def test_only_a_provider_that_takes_them_has_them(keys: OwnKeys, provider: str) -> None:
    with pytest.raises(NotFound, match="these do: one, two"):
        await keys.put("ann", provider, KEY)
    with pytest.raises(NotFound):
        await keys.remove("ann", provider)


@pytest.mark.parametrize(
    "key", ["", " ", "short", "two words", "a\nb-canary", "schlüssel-canary", "x" * 1001, "a\x00bcdefgh"]
)
async def test_what_can_be_no_key_is_refused_and_not_repeated(keys: OwnKeys, key: str) -> None:
    with pytest.raises(BadRequest) as refused:
        await keys.put("ann", "one", key)
    assert "canary" not in refused.value.detail


async def test_a_provider_that_takes_none_any_more_has_none(keys: OwnKeys, database: Database, tmp_path: Path) -> None:
    await keys.put("ann", "one", KEY)
    later = OwnKeys(KeyStore(database), tmp_path / "seal", PROVIDERS[1:])
    assert (await later.all_of("ann"), await later.list("ann")) == ({}, [])
