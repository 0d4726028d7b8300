"""The config: what is wrong is refused with the key, the value and what is allowed; nothing empty ever means open."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.config import Config, Profile, Settings, read_config
from orchestrator.egress.policy import Allowed, Denied
from orchestrator.errors import ConfigError

ROOT = Path(__file__).parents[2]
TOKEN = "0123456789abcdef"


def refusal_of(tmp_path: Path, raw: Any) -> str:
    """Return why a config is refused."""
    file = tmp_path / "config.json"
    file.write_text(raw if isinstance(raw, str) else json.dumps(raw))
    with pytest.raises(ConfigError) as refused:
        read_config(file)
    assert str(file) in refused.value.detail
    return refused.value.detail


def refused_settings(**environ: str) -> str:
    with pytest.raises(ConfigError) as refused:
        Settings.load(environ)
    return refused.value.detail


def test_the_example_is_a_good_config() -> None:
    config = read_config(ROOT / "config.example.json")
    assert set(config.profiles) == {"standard", "small"}
    assert config.profiles["small"].memory_mb == 512
    assert config.providers[0].api_key_env == "OPENAI_API_KEY"


def test_the_example_says_the_defaults() -> None:
    example, default = read_config(ROOT / "config.example.json"), Config()
    assert (example.server, example.chat) == (default.server, default.chat)
    assert example.profiles["standard"] == Profile()
    assert example.default_profile == default.default_profile


def test_an_empty_config_is_a_safe_one() -> None:
    config = Config.model_validate({})
    assert config.server.host == "127.0.0.1"
    assert config.server.allowed_hosts == ()
    assert {profile.network for profile in config.profiles.values()} == {"none"}
    assert config.providers == ()


@pytest.mark.parametrize(
    ("raw", "key", "value", "allowed"),
    [
        ({"sever": {}}, "sever", "{}", "chat, default_profile, package_index, people, profiles"),
        ({"server": {"prot": 8000}}, "server.prot", "8000", "allowed_hosts, host, port, trusted_proxies"),
        ({"profiles": {"standard": {"privileged": True}}}, "profiles.standard.privileged", "true", "memory_mb"),
        ({"providers": [{"name": "a", "models": ["m"], "modls": 1}]}, "providers.0.modls", "1", "api_key_env"),
        (
            {"providers": [{"name": "a", "models": [{"name": "m", "windw": 1}]}]},
            "providers.0.models.0.windw",
            "1",
            "window",
        ),
        (
            {"providers": [{"name": "a", "models": ["m"], "prices": {"m": {"inn": 1}}}]},
            "providers.0.prices.m.inn",
            "1",
            "input",
        ),
        ({"chat": {"rounds": 1}}, "chat.rounds", "1", "max_rounds"),
    ],
)
def test_an_unknown_key_is_named_with_those_that_are_allowed(
    tmp_path: Path, raw: Any, key: str, value: str, allowed: str
) -> None:
    refusal = refusal_of(tmp_path, raw)
    assert f"  {key}: unknown key (value {value}); allowed: " in refusal
    assert allowed in refusal.split("allowed: ")[1]


@pytest.mark.parametrize(
    ("raw", "key", "value", "allowed"),
    [
        ({"server": {"port": 0}}, "server.port", "0", "greater than or equal to 1"),
        ({"server": {"port": "many"}}, "server.port", '"many"', "valid integer"),
        ({"server": {"host": ""}}, "server.host", '""', "at least 1 character"),
        ({"profiles": {}}, "profiles", "{}", "at least 1 item"),
        ({"profiles": {"Standard!": {}}}, "profiles.Standard!.[key]", '"Standard!"', "[a-z0-9]"),
        ({"profiles": {"standard": {"memory_mb": 1}}}, "profiles.standard.memory_mb", "1", "equal to 256"),
        ({"profiles": {"standard": {"cpus": 0}}}, "profiles.standard.cpus", "0", "greater than 0"),
        ({"profiles": {"standard": {"cpus": float("nan")}}}, "profiles.standard.cpus", "NaN", "finite number"),
        ({"profiles": {"standard": {"idle_s": float("inf")}}}, "profiles.standard.idle_s", "Infinity", "finite number"),
        ({"profiles": {"standard": {"pids": 10**9}}}, "profiles.standard.pids", "1000000000", "equal to 32768"),
        ({"profiles": {"standard": {"network": "host"}}}, "profiles.standard.network", '"host"', "'none'"),
        ({"profiles": {"standard": {"network": None}}}, "profiles.standard.network", "null", "'none'"),
        (
            {"providers": [{"name": "a", "models": []}]},
            "providers.0.models",
            "its value is not shown",
            "at least 1 item",
        ),
        ({"providers": [{"name": "a"}]}, "providers.0.models", "its value is not shown", "required"),
        (
            {"providers": [{"name": "a", "models": ["m"], "base_url": "file:///x"}]},
            "providers.0.base_url",
            "its value is not shown",
            "http",
        ),
        ({"providers": [{"name": "demo", "models": ["m"]}]}, "providers", "demo", "'demo' is taken"),
        ({"providers": [{"name": "a", "models": ["m"]}] * 2}, "providers", "a", "a name of its own"),
        ({"chat": {"max_rounds": 0}}, "chat.max_rounds", "0", "equal to 1"),
        ({"default_profile": "huge"}, "(whole file)", "'huge'", "allowed: standard"),
        ([], "(whole file)", "", "dictionary"),
        ("null", "(whole file)", "", "dictionary"),
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_what_is_allowed(
    tmp_path: Path, raw: Any, key: str, value: str, allowed: str
) -> None:
    (line,) = refusal_of(tmp_path, raw).splitlines()[1:]
    assert line.startswith(f"  {key}: ")
    assert value in line
    assert allowed in line


@pytest.mark.parametrize(
    "provider",
    [
        {"key": "sk-canary"},
        {"api_key": "sk-canary"},
        {"api_key_env": ["sk-canary"]},
        {"headers": {"X-Key": "sk-canary\n"}},
        {"headers": {"Authorization": "sk-canary"}},
        {"headers": "sk-canary"},
        {"proxy": "ftp://me:sk-canary@proxy"},
        {"base_url": "me:sk-canary@host"},
        {"models": [{"name": "m", "extra_body": "sk-canary"}]},
    ],
)
def test_what_may_be_a_secret_is_not_shown(tmp_path: Path, provider: dict[str, Any]) -> None:
    assert "canary" not in refusal_of(tmp_path, {"providers": [{"name": "a", "models": ["m"]} | provider]})


AZURE = {"name": "a", "kind": "azure", "endpoint": "https://x.openai.azure.com", "api_version": "2024-10-21"}


@pytest.mark.parametrize(
    ("provider", "told"),
    [
        ({"kind": "azure"}, "needs endpoint and api_version"),
        (AZURE, "needs api_key_env, api_key_file or own_keys"),
        (AZURE | {"api_key_env": "K", "base_url": "https://x"}, "no base_url"),
        ({"endpoint": "https://x"}, "are for the kind 'azure'"),
        ({"deployments": {"m": "d"}}, "are for the kind 'azure'"),
        (AZURE | {"api_key_env": "K", "deployments": {"n": "d"}}, "deployments names 'n', which is none of models: m"),
        ({"prices": {"n": {"input": 1, "output": 1}}}, "prices names 'n', which is none of models: m"),
        ({"api_key_env": "K", "api_key_file": "/k"}, "not by both"),
        ({"key_header": "X-Key"}, "there is none"),
        ({"headers": {"Host": "x"}}, "headers may not have host"),
        ({"models": ["m", "m"]}, "the model 'm' is at 'a' and at 'a'"),
        ({"models": ["glovebox-demo"]}, "the model 'glovebox-demo' is at 'demo' and at 'a'"),
        ({"models": [{"name": "m", "extra_body": {"model": "other"}}]}, "extra_body may not have model"),
        ({"models": [{"name": "m", "output_limit": "max"}]}, "'max_tokens' or 'max_completion_tokens'"),
        ({"models": [{"name": "m", "price": {"input": 1}}]}, "providers.0.models.0.price.output: Field required"),
        ({"models": [{"window": 4096}]}, "providers.0.models.0.name: Field required"),
        ({"models": [1]}, "providers.0.models.0"),
        ({"kind": "anthropic"}, "'openai' or 'azure'"),
    ],
)
def test_a_provider_that_makes_no_sense_ends_the_start(tmp_path: Path, provider: dict[str, Any], told: str) -> None:
    assert told in refusal_of(tmp_path, {"providers": [{"name": "a", "models": ["m"]} | provider]})


def test_a_models_name_alone_is_an_entry_that_says_nothing_else() -> None:
    azure = AZURE | {"api_key_env": "K", "models": ["m", {"name": "n", "called": "gpt-5.4"}], "deployments": {"m": "d"}}
    provider = Config.model_validate({"providers": [azure]}).providers[0]
    assert [provider.called(entry) for entry in provider.models] == ["d", "gpt-5.4"]
    assert provider.models[0].tools is None


def test_each_wrong_key_has_a_line_of_its_own(tmp_path: Path) -> None:
    raw = {"server": {"port": 0}, "chat": {"max_rounds": 0}, "x": 1}
    assert len(refusal_of(tmp_path, raw).splitlines()) == 4


def test_a_long_value_is_told_short(tmp_path: Path) -> None:
    assert len(refusal_of(tmp_path, {"x": "y" * 10_000})) < 500


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", '{"server": {},}', "\x00", "// no comments\n{}", "[" * 100_000])
def test_a_file_that_is_no_json_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    assert "is not valid JSON" in refusal_of(tmp_path, text)


def test_a_file_that_is_no_utf8_is_said_to_be_no_json(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b'{"server": {"host": "\xff"}}')
    with pytest.raises(ConfigError, match="is not valid JSON"):
        read_config(tmp_path / "config.json")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "missing.json", "No such file"), (tmp_path, "Is a directory")):
        assert refused_settings(GLOVEBOX_CONFIG=str(path)).startswith(f"{path}: {reason}")


def test_without_an_environment_only_this_host_can_reach_it() -> None:
    settings = Settings.load({})
    assert (settings.listen_host, settings.listen_port, settings.token) == ("127.0.0.1", 8000, None)
    assert (settings.instance, settings.data) == ("glovebox", Path("data").absolute())


def test_the_environment_says_what_differs_by_host(tmp_path: Path) -> None:
    settings = Settings.load(
        {
            "GLOVEBOX_CONFIG": str(ROOT / "config.example.json"),
            "GLOVEBOX_DATA": str(tmp_path),
            "GLOVEBOX_SPAWNER_SOCKET": "/s",
            "GLOVEBOX_INSTANCE": "blue",
            "GLOVEBOX_LISTEN_PORT": "9000",
        }
    )
    assert (settings.data, settings.spawner_socket, settings.instance) == (tmp_path, Path("/s"), "blue")
    assert settings.listen_port == 9000
    assert "small" in settings.config.profiles


def test_empty_variables_count_as_missing() -> None:
    names = ("CONFIG", "DATA", "SPAWNER_SOCKET", "INSTANCE", "LISTEN_HOST", "LISTEN_PORT", "BIND", "TOKEN")
    assert Settings.load({f"GLOVEBOX_{name}": "" for name in names}) == Settings.load({})


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    assert Settings.load({"GLOVEBOX_LISTEN_HOST": host}).listen_host == host


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.5", "example.com", "127.0.0.1.example.com", "LOCALHOST.", "*"]
)
def test_an_address_that_others_reach_needs_a_token(tmp_path: Path, host: str) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"server": {"host": host}}))
    for environ in (
        {"GLOVEBOX_LISTEN_HOST": host},
        {"GLOVEBOX_CONFIG": str(config)},
        {"GLOVEBOX_LISTEN_HOST": host, "GLOVEBOX_BIND": ""},
        {"GLOVEBOX_LISTEN_HOST": host, "GLOVEBOX_TOKEN": ""},
    ):
        refusal = refused_settings(**environ)
        assert repr(host) in refusal and "GLOVEBOX_TOKEN" in refusal
        assert Settings.load(environ | {"GLOVEBOX_TOKEN": TOKEN}).token == TOKEN


def test_in_a_container_it_counts_where_the_port_is_published() -> None:
    inside = {"GLOVEBOX_LISTEN_HOST": "0.0.0.0"}
    assert Settings.load(inside | {"GLOVEBOX_BIND": "127.0.0.1"}).listen_host == "0.0.0.0"
    assert "'10.0.0.1'" in refused_settings(**inside, GLOVEBOX_BIND="10.0.0.1")
    assert "'0.0.0.0'" in refused_settings(GLOVEBOX_BIND="0.0.0.0")


def test_a_short_token_is_refused() -> None:
    assert "fewer than 16" in refused_settings(GLOVEBOX_TOKEN=TOKEN[:15])
    assert "fewer than 16" in refused_settings(GLOVEBOX_TOKEN="x", GLOVEBOX_LISTEN_HOST="0.0.0.0")
    assert Settings.load({"GLOVEBOX_TOKEN": TOKEN}).token == TOKEN


def test_a_refused_secret_is_not_told() -> None:
    assert "s3cret" not in refused_settings(GLOVEBOX_TOKEN="s3cret")
    assert "s3cret" not in refused_settings(GLOVEBOX_ADMIN_PASSWORD="s3cret")


def team(tmp_path: Path, **people: Any) -> str:
    config = tmp_path / "team.json"
    config.write_text(json.dumps({"people": {"mode": "team", **people}}))
    return str(config)


def test_a_team_may_be_reached_by_others_since_each_logs_in(tmp_path: Path) -> None:
    named = {"GLOVEBOX_CONFIG": team(tmp_path), "GLOVEBOX_LISTEN_HOST": "0.0.0.0"}
    assert Settings.load(named).config.people.mode == "team"
    assert Settings.load(named | {"GLOVEBOX_ADMIN_PASSWORD": "ten letters"}).admin_password == "ten letters"


def test_a_team_has_no_token_that_is_everybodys(tmp_path: Path) -> None:
    refusal = refused_settings(GLOVEBOX_CONFIG=team(tmp_path), GLOVEBOX_TOKEN=TOKEN)
    assert "GLOVEBOX_TOKEN" in refusal and "Remove it" in refusal and TOKEN not in refusal


@pytest.mark.parametrize("secret", [None, "", "short"])
def test_a_proxy_has_a_secret_or_glovebox_does_not_start(tmp_path: Path, secret: str | None) -> None:
    named = {"GLOVEBOX_CONFIG": team(tmp_path, proxy={"secret_env": "PROXY_SECRET"})}
    refusal = refused_settings(**named, **({} if secret is None else {"PROXY_SECRET": secret}))
    assert "PROXY_SECRET has fewer than 16 characters, or is not set" in refusal
    assert Settings.load(named | {"PROXY_SECRET": TOKEN}).proxy_secret == TOKEN


@pytest.mark.parametrize(
    ("people", "told"),
    [
        ({"proxy": {"secret_env": "PROXY_SECRET"}}, "set mode to 'team'"),
        ({"mode": "team", "proxy": {}}, "people.proxy.secret_env: Field required"),
        ({"mode": "team", "proxy": {"secret_env": "X", "user_header": "Cookie"}}, "two headers that mean nothing else"),
        ({"mode": "team", "proxy": {"secret_env": "X", "secret_header": "X-Forwarded-User"}}, "two headers"),
        ({"mode": "team", "oidc": {"issuer": "https://x"}}, "people.oidc.client_id: Field required"),
        ({"mode": "team", "oidc": {"client": "x"}}, "allowed: admin_group, allowed_domains"),
    ],
)
def test_single_sign_on_that_makes_no_sense_ends_the_start(tmp_path: Path, people: Any, told: str) -> None:
    assert told in refusal_of(tmp_path, {"people": people})


@pytest.mark.parametrize("mode", ["", "Team", "none", None, True, ["team"]])
def test_a_mode_that_is_none_ends_the_start(tmp_path: Path, mode: Any) -> None:
    assert "people.mode: Input should be 'one' or 'team'" in refusal_of(tmp_path, {"people": {"mode": mode}})


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "8000.0", "²"])
def test_a_wrong_port_in_the_environment_is_named(port: str) -> None:
    assert f"GLOVEBOX_LISTEN_PORT is {port!r}; allowed: 1 to 65535" in refused_settings(GLOVEBOX_LISTEN_PORT=port)


@pytest.mark.parametrize("name", ["Blue", "a b", "a/b", "-a", "x" * 41])
def test_a_wrong_instance_name_in_the_environment_is_named(name: str) -> None:
    refusal = refused_settings(GLOVEBOX_INSTANCE=name)
    assert "GLOVEBOX_INSTANCE" in refusal and repr(name) in refusal and "a-z" in refusal


def test_the_config_cannot_be_changed_once_it_is_read() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings.load({}).config.server.host = "0.0.0.0"  # type: ignore[misc]


def test_the_limits_that_the_api_shows_leave_out_the_image() -> None:
    limits = Profile(image="registry/private:1").limits()
    assert "image" not in limits
    assert limits["memory_mb"] == 2048


def test_an_allow_list_that_is_empty_allows_nothing_and_none_has_no_policy_at_all() -> None:
    config = Config()
    assert config.egress_policy(Profile()) is None
    empty = config.egress_policy(Profile(network="allowlist"))
    assert empty is not None
    assert isinstance(empty.decide("CONNECT", "pypi.org:443"), Denied)


def test_packages_allows_the_hosts_of_the_package_index_and_nothing_else() -> None:
    policy = Config().egress_policy(Profile(network="packages"))
    assert policy is not None
    assert isinstance(policy.decide("CONNECT", "files.pythonhosted.org:443"), Allowed)
    for method, target in (("CONNECT", "pypi.org:22"), ("GET", "http://pypi.org/"), ("CONNECT", "example.com:443")):
        assert isinstance(policy.decide(method, target), Denied), target


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        ({"egress": [{"name": "example.com"}]}, "network is 'none'"),
        ({"network": "open"}, "'none', 'packages' or 'allowlist'"),
        ({"network": "allowlist", "egress": [{"name": "*"}]}, "is no plain host name"),
        ({"network": "allowlist", "egress": [{"name": "*.com"}]}, "too wide"),
        ({"network": "allowlist", "egress": [{"name": "https://example.com/"}]}, "is no plain host name"),
        ({"network": "allowlist", "egress": [{"name": "example.com", "ports": []}]}, "ports of 'example.com'"),
        ({"network": "allowlist", "egress": [{"name": "example.com", "port": 80}]}, "allowed: allow_private, methods"),
        ({"network": "allowlist", "egress_up_mb": -1}, "greater than or equal to 0"),
    ],
)
def test_a_network_policy_that_makes_no_sense_ends_the_start(tmp_path: Path, profile: Any, told: str) -> None:
    assert told in refusal_of(tmp_path, {"profiles": {"standard": profile}})
