"""Every behaviour of providers by name, over real HTTP: what replies use, quotas, and keys."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.chat.answering import Answerer
from orchestrator.chat.completion import ModelReply
from orchestrator.config_quotas import Quota
from orchestrator.errors import BadRequest, ModelUnavailable, NotFound, TooManyRequests
from orchestrator.events import EventLog, ReplyUsage
from tests.provider import (
    FakeProvider,
    delta,
    says,
    status,
    stream,
)
from tests.unit.provider_world import (
    BROKEN,
    KEY,
    OWN,
    TOLD,
    World,
    made_world,
)


async def test_what_a_reply_used_is_told_and_counted(world: World) -> None:
    answer = await world.ask(says("Yes."))
    assert answer.used() == ReplyUsage(120, 30, (120 * 2 + 30 * 10) / 1e6, 120, 8192)
    used, quota = await world.use.today("ann")
    assert (used.tokens_in, used.tokens_out, quota) == (120, 30, Quota())
    session = await world.use.of_session("s1")
    assert (session.used, session.last_model, session.last_tokens_in) == (used, "m", 120)


async def test_a_price_that_nobody_knows_is_no_price(world: World) -> None:
    assert (await world.ask(says("Yes."), name="n")).used().cost is None
    assert (await world.use.today("ann"))[0].cost is None


async def test_what_a_provider_does_not_tell_is_estimated(world: World) -> None:
    long = [*TOLD, {"role": "user", "content": [{"type": "text", "text": "word " * 1000}]}]
    answer = await world.ask(says("One two three four.", counted=False), told=long)
    assert 900 < answer.used().tokens_in < 2500
    assert 3 < answer.used().tokens_out < 12


async def test_a_broken_attempt_is_counted_with_the_one_after_it(world: World) -> None:
    answer = await world.ask(BROKEN["connection lost"], says("Yes."))
    assert answer.used().tokens_in > 120
    assert answer.used().window_tokens == 120
    assert (await world.use.today("ann"))[0].tokens_in == answer.used().tokens_in


async def test_a_refused_request_costs_nothing(world: World) -> None:
    answer = await world.ask(status(400))
    assert not any(isinstance(one, ReplyUsage) for one in answer.events)
    assert (await world.use.today("ann"))[0].tokens == 0


@pytest.mark.parametrize("quota", [Quota(tokens_per_day=150), Quota(cost_per_day=0.0005)])
async def test_a_quota_that_is_used_up_refuses_before_asking(world: World, quota: Quota) -> None:
    world.quota[0] = quota
    asker = await world.asker()
    assert (await world.ask(says("Yes."))).problem is None
    with pytest.raises(TooManyRequests) as refused:
        await world.asker()
    assert (refused.value.code, "midnight UTC" in refused.value.detail) == ("quota_reached", True)
    assert 0 < refused.value.retry_after_s <= 86_400
    world.provider.will(says("No."))
    with pytest.raises(TooManyRequests):  # in the middle of a turn
        await asker.ask(ModelReply(), TOLD, EventLog())
    assert world.provider.requests == []
    assert (await world.ask(says("Yes."), owner="bob")).reply.text == "Yes."


async def test_a_key_of_ones_own_is_used_for_ones_own_sessions(world: World) -> None:
    world.quota[0] = Quota(tokens_per_day=1)
    await world.keys.put("ann", "fake", f" {OWN}\n")
    for _ in range(2):  # and what it pays for counts for no quota
        assert (await world.ask(says("Yes."))).problem is None
    assert OWN in json.dumps(world.provider.requests[0].headers)
    assert (await world.use.today("ann"))[0].tokens == 0
    assert KEY not in json.dumps(world.provider.requests[0].headers)
    await world.ask(says("Yes."), owner="bob")
    assert KEY in json.dumps(world.provider.requests[0].headers)
    assert (await world.use.of_session("s1")).used.tokens == 450
    refused = await world.ask(status(401))
    assert "the key that you brought" in str(refused.problem)


async def test_without_a_key_the_model_says_what_to_do(kind: str, provider: FakeProvider, tmp_path: Path) -> None:
    file = tmp_path / "key"
    cases: tuple[tuple[Any, str], ...] = (
        ({"api_key_env": "NO_KEY"}, "set the environment variable NO_KEY"),
        ({"api_key_env": None, "api_key_file": str(file)}, f"put it into the file {file}"),
        ({"api_key_env": None}, "bring yours"),
    )
    for more, told in cases:
        async for world in made_world(kind, provider, tmp_path, **more):
            with pytest.raises(ModelUnavailable, match=told) as refused:
                await world.asker()
            assert refused.value.code == "model_no_key"
            (model, *_) = await world.models.list("ann")
            assert (model.available, model.detail) == (False, refused.value.detail)
            await world.keys.put("ann", "fake", OWN)
            assert (await world.models.list("ann"))[0].available
            await world.keys.remove("ann", "fake")
    file.write_text(f"{KEY}\n")
    async for world in made_world(kind, provider, tmp_path, **cases[1][0]):
        assert (await world.ask(says("Yes."))).problem is None
    assert KEY in json.dumps(provider.requests[0].headers)
    file.write_text("two words\n")
    async for world in made_world(kind, provider, tmp_path, **cases[1][0]):
        with pytest.raises(ModelUnavailable, match="spaces or signs") as refused:
            await world.asker()
        assert "two words" not in refused.value.detail


async def test_what_the_picker_shows(world: World) -> None:
    first, second, demo = await world.models.list("ann")
    shown = (first.id, first.provider, first.available, first.default, first.tools, first.vision, first.window)
    assert shown == ("m", "fake", True, True, world.kind != "tool-less", False, 8192)
    assert first.price == {"input": 2, "output": 10, "cached_input": None}
    assert (second.window, second.tools, second.price) == (128_000, True, None)
    assert (demo.id, demo.provider, demo.available) == ("glovebox-demo", "demo", True)
    assert world.models.about("m").window == 8192
    assert world.models.about("gone").window == 128_000
    with pytest.raises(BadRequest, match="allowed: m, n, glovebox-demo"):
        await world.models.pick("gone", "ann")


async def test_a_bundle_of_certificates_that_is_none_is_told(kind: str, provider: FakeProvider, tmp_path: Path) -> None:
    for content in (None, "nothing"):
        bundle = tmp_path / "ca.pem"
        if content:
            bundle.write_text(content)
        async for world in made_world(kind, provider, tmp_path, ca_bundle=str(bundle)):
            with pytest.raises(ModelUnavailable, match="cannot be read"):
                await world.asker()


async def test_a_provider_that_takes_no_own_keys_has_none(kind: str, provider: FakeProvider, tmp_path: Path) -> None:
    async for world in made_world(kind, provider, tmp_path, own_keys=False):
        for name in ("fake", "other"):
            with pytest.raises(NotFound):
                await world.keys.put("ann", name, OWN)


# --- asked aside ---


async def test_what_is_asked_aside_has_no_tools_and_is_counted(world: World) -> None:
    aside = Answerer("m", world.models, "ann", "s1")
    world.provider.will(says(" A summary. "))
    assert await aside.answer(TOLD, 1000) == "A summary."
    (asked,) = world.provider.requests
    assert ("tools" in asked.body, asked.body["messages"]) == (False, TOLD)
    assert (await world.use.today("ann"))[0].tokens == 150
    world.provider.will(stream(endless=delta(content="word ")))
    assert (await aside.answer(TOLD, 20)).startswith("word word word word")


async def test_what_cannot_be_asked_aside_says_why(world: World) -> None:
    world.provider.will(status(401))
    for model, code in (("m", "model_key_refused"), ("gone", "unknown_model")):
        with pytest.raises(ModelUnavailable) as refused:
            await Answerer(model, world.models, "ann", "s1").answer(TOLD, 1000)
        assert refused.value.code == code
    world.provider.will(says(""))
    with pytest.raises(ModelUnavailable, match="said nothing"):
        await Answerer("m", world.models, "ann", "s1").answer(TOLD, 1000)
