"""A conversation as a tree: which branch is shown, what stands at one place, what is left of a deleted turn."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from orchestrator.errors import NotFound
from orchestrator.store.branches import Tree
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.database import Database
from orchestrator.store.records import CellRecord, MessageRecord
from orchestrator.store.search import SearchStore
from orchestrator.store.sessions import SessionStore
from orchestrator.store.settings import SettingsStore, UserSettings

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Place:
    id: str
    parent_id: str | None
    role: str


def tree(*told: str, head: str | None = None) -> Tree[Place]:
    """Return a tree from lines such as `a1<q1`; a name that begins with q is a question's."""
    places = []
    for line in told:
        name, _, parent = line.partition("<")
        places.append(Place(name, parent or None, "user" if name.startswith("q") else "assistant"))
    return Tree(places, head)


def ids(branch: list[Place]) -> str:
    return " ".join(place.id for place in branch)


# The first question was answered twice, and edited once; the second answer was followed.
FORKED = ("q1", "a1<q1", "b1<q1", "q2<b1", "a2<q2", "q9", "a9<q9")


def test_the_branch_that_is_shown_goes_from_the_first_message_to_the_head() -> None:
    assert ids(tree(*FORKED, head="a2").shown()) == "q1 b1 q2 a2"
    assert ids(tree(*FORKED, head="a1").shown()) == "q1 a1"
    assert ids(tree(*FORKED, head="a9").shown()) == "q9 a9"
    assert ids(tree().shown()) == ""


def test_a_head_that_nobody_set_or_that_is_gone_is_the_latest_message() -> None:
    assert tree(*FORKED).head == tree(*FORKED, head="gone").head == "a9"


def test_siblings_have_one_parent_and_one_role() -> None:
    found = tree(*FORKED)
    assert [found.siblings(found.message(name)) for name in ("q1", "a1", "b1", "q2", "a9")] == [
        ["q1", "q9"],
        ["a1", "b1"],
        ["a1", "b1"],
        ["q2"],
        ["a9"],
    ]


def test_showing_a_message_shows_the_youngest_branch_behind_it() -> None:
    found = tree(*FORKED, "q3<a1", "a3<q3")
    assert [found.latest_behind(name) for name in ("q1", "b1", "a1", "q9", "a3")] == ["a3", "a2", "a3", "a9", "a3"]


@pytest.mark.parametrize(
    ("deleted", "head", "left", "shown"),
    [
        ("q2", "a2", "q1 a1 b1 q9 a9", "q1 b1"),
        ("a2", "a2", "q1 a1 b1 q9 a9", "q1 b1"),  # an answer names its turn
        ("q1", "a2", "q2 a2 q9 a9", "q2 a2"),  # what followed stands at the beginning
        ("b1", "a9", "q2 a2 q9 a9", "q9 a9"),
        ("q9", "a9", "q1 a1 b1 q2 a2", "q1 b1 q2 a2"),  # the other branch of the same place is shown
        ("q1", "a1", "q2 a2 q9 a9", "q9 a9"),
    ],
)
def test_a_deleted_turn_takes_its_answers_and_what_followed_stays(
    deleted: str, head: str, left: str, shown: str
) -> None:
    plan = tree(*FORKED, head=head).without_turn(deleted)
    places = [
        Place(one.id, plan.moved_to if one.id in plan.moved else one.parent_id, one.role)
        for one in tree(*FORKED)._messages
        if one.id not in plan.gone
    ]
    assert ids(places) == left
    assert ids(Tree(places, plan.head).shown()) == shown


def test_the_only_turn_leaves_nothing() -> None:
    plan = tree("q1", "a1<q1", head="a1").without_turn("q1")
    assert (set(plan.gone), plan.moved, plan.head) == ({"q1", "a1"}, (), None)


@pytest.mark.parametrize("name", ["", "gone", "q" * 1000])
def test_a_message_that_is_none_is_told(name: str) -> None:
    for ask in (tree(*FORKED).message, tree(*FORKED).latest_behind, tree(*FORKED).without_turn):
        with pytest.raises(NotFound) as told:
            ask(name)
        assert told.value.code == "message_not_found"


@given(st.lists(st.integers(0, 20), max_size=20), st.integers(0, 20))
def test_whatever_is_deleted_everything_else_can_still_be_shown(parents: list[int], deleted: int) -> None:
    places: list[Place] = []
    for number, parent in enumerate(parents):
        above = places[parent % len(places)] if places and parent else None
        role = "assistant" if above is not None and above.role == "user" else "user"
        places.append(Place(str(number), above.id if above else None, role))
    if not places:
        return
    plan = Tree(places, places[-1].id).without_turn(places[deleted % len(places)].id)
    left = [
        Place(one.id, plan.moved_to if one.id in plan.moved else one.parent_id, one.role)
        for one in places
        if one.id not in plan.gone
    ]
    after = Tree(left, plan.head)
    assert (plan.head is None) == (not left)
    for place in left:
        assert after.up_to(place.id)[-1] == place
        assert after.up_to(place.id)[0].parent_id is None
        assert place.id in [one.id for one in after.up_to(after.latest_behind(place.id))]
    if left:
        assert after.latest_behind(plan.head or "") == plan.head, "what is shown goes as far as it goes"


class Store:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.sessions = SessionStore(database)
        self.conversation = ConversationStore(database)
        self.search = SearchStore(database)
        self.settings = SettingsStore(database)


async def head(store: Store, session: str) -> str | None:
    """Return the last message of the branch that is shown."""
    asked, keys = text("SELECT head FROM sessions WHERE id = :id"), {"id": session}
    found: str | None = await store.database.transact(lambda connection: connection.execute(asked, keys).scalar())
    return found


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)


def question(name: str, session: str, content: str = "?", parent: str | None = None) -> MessageRecord:
    return MessageRecord(name, session, "user", NOW, content=content, parent_id=parent)


def answer(name: str, session: str, said: str = "!", parent: str | None = None) -> MessageRecord:
    parts = [{"type": "text", "round": 0, "text": said}]
    return MessageRecord(name, session, "assistant", NOW, model="m", parts=parts, parent_id=parent)


async def shown(store: Store, session: str) -> str:
    return " ".join(message.id for message in await store.conversation.messages(session))


async def test_messages_that_are_added_hang_on_one_another_and_are_shown(store: Store) -> None:
    session = (await store.sessions.add("ann", "n", "standard")).id
    await store.conversation.add_messages(question("q1", session), answer("a1", session))
    await store.conversation.add_messages(question("q2", session, parent="a1"), answer("a2", session))
    assert await shown(store, session) == "q1 a1 q2 a2"
    await store.conversation.add_messages(answer("b2", session, parent="q2"))
    assert await shown(store, session) == "q1 a1 q2 b2"
    await store.conversation.show(session, "a2")
    assert await shown(store, session) == "q1 a1 q2 a2"
    await store.conversation.show(session, "q2")
    assert await shown(store, session) == "q1 a1 q2 b2"
    assert await head(store, session) == "b2"


async def test_nothing_of_it_is_another_sessions(store: Store) -> None:
    mine, theirs = [(await store.sessions.add("ann", "n", "standard")).id for _ in range(2)]
    await store.conversation.add_messages(question("q1", mine), answer("a1", mine))
    for change in (store.conversation.show, store.conversation.delete_turn):
        with pytest.raises(NotFound):
            await change(theirs, "a1")
    assert await shown(store, mine) == "q1 a1"
    assert await shown(store, theirs) == ""


async def test_a_deleted_turn_takes_its_cells_and_the_summaries_that_tell_of_it(store: Store) -> None:
    session = (await store.sessions.add("ann", "n", "standard")).id
    await store.conversation.add_messages(
        question("q1", session), answer("a1", session), question("q2", session), answer("a2", session)
    )
    for name, message in (("c1", "a1"), ("c2", "a2"), ("c0", None)):
        await store.conversation.begin_cell(CellRecord(name, session, message, "1", NOW))
    insert = text("INSERT INTO summaries (session_id, message_id, text, created_at) VALUES (:s, :m, '', :at)")
    rows = [{"s": session, "m": name, "at": "2026-01-01 00:00:00"} for name in ("a1", "a2")]
    await store.database.run_many(insert, rows)
    await store.conversation.delete_turn(session, "q2")
    assert await shown(store, session) == "q1 a1"
    assert [cell.cell_id for cell in await store.conversation.cells(session)] == ["c1", "c0"]
    left = text("SELECT message_id FROM summaries")
    assert await store.database.transact(lambda c: c.scalars(left).all()) == ["a1"]
    await store.conversation.delete_turn(session, "a1")
    assert await shown(store, session) == ""
    assert await store.database.transact(lambda c: c.scalars(left).all()) == []
    assert await head(store, session) is None


async def test_a_deletion_that_fails_half_way_changes_nothing(store: Store) -> None:
    session = (await store.sessions.add("ann", "n", "standard")).id
    await store.conversation.add_messages(
        question("q1", session), answer("a1", session), question("q2", session), answer("a2", session)
    )
    await store.database.run(text("CREATE TABLE holds (id VARCHAR(32) REFERENCES messages (id))"), {})
    await store.database.run(text("INSERT INTO holds VALUES ('a1')"), {})
    with pytest.raises(IntegrityError):
        await store.conversation.delete_turn(session, "q1")
    assert await shown(store, session) == "q1 a1 q2 a2"


async def test_sessions_are_found_by_what_was_said_and_run_in_any_branch(store: Store) -> None:
    one, two, other = [(await store.sessions.add("ann", "n", "standard")).id for _ in range(3)]
    await store.conversation.add_messages(
        question("q1", one, "The Größe of 100%_x"), answer("a1", one, 'She said "naïve"\n数据')
    )
    await store.conversation.add_messages(question("q2", one, "An edit"))
    code = [{"type": "cell", "round": 0, "cell_id": "c", "call_id": "x", "code": "df.plot(kind='Bar')"}]
    await store.conversation.add_messages(MessageRecord("a3", two, "assistant", NOW, parts=code))
    await store.conversation.add_messages(question("q4", other, "df.plot(kind='Bar')"))
    found = {
        words: await store.search.containing([one, two], words)
        for words in (
            "GRÖSSE",
            "größe",
            "GRÖßE",
            "0%_x",
            "0%yx",
            "数据",
            'said "NAÏVE"',
            "bar",
            "an EDIT",
            "round",
            "text",
        )
    }
    assert found == {
        "GRÖSSE": set(),
        "größe": {one},
        "GRÖßE": {one},
        "0%_x": {one},
        "0%yx": set(),
        "数据": {one},
        'said "NAÏVE"': {one},
        "bar": {two},
        "an EDIT": {one},
        "round": set(),
        "text": set(),
    }
    assert await store.search.containing([], "bar") == set()


async def test_settings_are_kept_by_person_and_what_is_left_out_stays(store: Store) -> None:
    assert await store.settings.of("ann") == UserSettings()
    await store.settings.change("ann", {"theme": "dark", "instructions": "数"})
    assert await store.settings.change("ann", {"language": "zh-CN"}) == UserSettings("数", "zh-CN", "dark")
    await store.settings.change("ann", {"language": None, "fold_code": False})
    assert await store.settings.of("ann") == UserSettings("数", None, "dark", fold_code=False)
    assert await store.settings.of("bob") == UserSettings()


async def test_a_setting_of_another_version_is_no_error(store: Store) -> None:
    add = text('INSERT INTO user_settings (user_id, settings) VALUES (\'ann\', \'{"theme": "dark", "gone": 1}\')')
    await store.database.run(add, {})
    assert (await store.settings.of("ann")).theme == "dark"
