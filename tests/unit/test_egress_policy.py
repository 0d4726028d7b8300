"""What an allow-list lets through: what is listed in the one form that is accepted, and no other text of any kind."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.egress.policy import Allowed, AllowedHost, Denied, EgressPolicy
from orchestrator.egress.target import BadTarget, parse_connect, parse_http_url
from tests.unit.egress_corpus import BAD_HOSTS, BAD_PORTS, BAD_URLS

POLICY = EgressPolicy(
    (
        AllowedHost("example.com"),
        AllowedHost("*.example.org", ports=(80, 443)),
        AllowedHost("files.example.net", ports=(80, 8080), methods=("GET", "HEAD", "POST")),
        AllowedHost("mirror.example", ports=(80, 443), allow_private=True),
        AllowedHost("xn--bcher-kva.example"),
        AllowedHost("93.184.215.14"),
        AllowedHost("2001:4860:4860::8888"),
    )
)
EVERYTHING_TEMPTING = EgressPolicy(
    tuple(
        AllowedHost(name, ports=(22, 80, 443), allow_private=True)
        for name in ("example.com", "*.example.com", "127.0.0.1", "::1", "localhost", "0.0.0.0", "evil.example")
    )
)

ALLOWED_TUNNELS = [
    ("example.com:443", "example.com", 443),
    ("EXAMPLE.com:443", "example.com", 443),
    ("a.example.org:443", "a.example.org", 443),
    ("a.b-c.example.org:80", "a.b-c.example.org", 80),
    ("xn--bcher-kva.example:443", "xn--bcher-kva.example", 443),
    ("93.184.215.14:443", "93.184.215.14", 443),
    ("[2001:4860:4860::8888]:443", "2001:4860:4860::8888", 443),
    ("[2001:4860:4860:0:0:0:0:8888]:443", "2001:4860:4860::8888", 443),
]


@pytest.mark.parametrize(("target", "host", "port"), ALLOWED_TUNNELS)
def test_a_tunnel_to_a_listed_host_is_allowed(target: str, host: str, port: int) -> None:
    decision = POLICY.decide("CONNECT", target)
    assert isinstance(decision, Allowed)
    assert (decision.target.host, decision.target.port, decision.target.path) == (host, port, "")


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_a_host_in_any_other_form_is_denied_even_where_it_would_mean_a_listed_one(host: str) -> None:
    with pytest.raises(BadTarget):
        parse_connect(f"{host}:443")
    if "/" not in host and "?" not in host:  # there it is the end of the host, not a part of it
        for target in (f"http://{host}/", f"http://{host}:80/", f"http://{host}?", f"http://{host}"):
            assert isinstance(EVERYTHING_TEMPTING.decide("GET", target), Denied), target


@pytest.mark.parametrize("port", BAD_PORTS)
def test_a_port_in_any_other_form_is_denied(port: str) -> None:
    with pytest.raises(BadTarget):
        parse_connect(f"example.com:{port}")
    if "/" not in port:  # there it is the end of the port, not a part of it
        with pytest.raises(BadTarget):
            parse_http_url(f"http://example.com:{port}/")


@pytest.mark.parametrize("target", ["example.com", "example.com:", "[::1]", ":443", "", ":", "http://example.com:443/"])
def test_connect_needs_host_and_port(target: str) -> None:
    assert isinstance(EVERYTHING_TEMPTING.decide("CONNECT", target), Denied)


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_url_in_any_other_form_is_denied(url: str) -> None:
    assert isinstance(EVERYTHING_TEMPTING.decide("GET", url), Denied)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("http://a.example.org/", "a.example.org", 80, "/"),
        ("HTTP://A.Example.ORG", "a.example.org", 80, "/"),
        ("http://a.example.org?q=1", "a.example.org", 80, "/?q=1"),
        ("http://a.example.org/a%2Fb%00?x=[1]&u=http://b/@c", "a.example.org", 80, "/a%2Fb%00?x=[1]&u=http://b/@c"),
        ("http://files.example.net:8080/~a/(b);c='d'", "files.example.net", 8080, "/~a/(b);c='d'"),
    ],
)
def test_a_plain_request_to_a_listed_host_is_allowed(url: str, host: str, port: int, path: str) -> None:
    decision = POLICY.decide("GET", url)
    assert isinstance(decision, Allowed)
    assert (decision.target.host, decision.target.port, decision.target.path) == (host, port, path)


def test_an_empty_list_denies_all() -> None:
    for method, target in (("CONNECT", "example.com:443"), ("GET", "http://example.com/"), ("GET", "")):
        assert isinstance(EgressPolicy().decide(method, target), Denied)
    decision = EgressPolicy(()).decide("CONNECT", "example.com:443")
    assert decision == Denied(
        "This session may not reach example.com; its profile allows no host.", parse_connect("example.com:443")
    )


def test_a_wildcard_is_for_names_beneath_and_for_whole_labels() -> None:
    for host in ("example.org", "badexample.org", "a.example.org.evil.example", "example.org.evil.example"):
        assert isinstance(POLICY.decide("CONNECT", f"{host}:443"), Denied), host


def test_an_address_is_allowed_only_where_it_is_listed_itself() -> None:
    for target in ("93.184.215.15:443", "[2001:4860:4860::8889]:443", "[::ffff:93.184.215.14]:443", "127.0.0.1:443"):
        assert isinstance(POLICY.decide("CONNECT", target), Denied), target


def test_ports_and_methods_are_an_entrys_own() -> None:
    assert isinstance(POLICY.decide("CONNECT", "example.com:22"), Denied)
    assert isinstance(POLICY.decide("CONNECT", "example.com:80"), Denied)
    assert isinstance(POLICY.decide("GET", "http://example.com/"), Denied)
    assert isinstance(POLICY.decide("POST", "http://files.example.net/"), Allowed)
    for method in ("POST", "PUT", "get", "connect", "CONNECT ", "", "TRACE", "GET\r\n"):
        assert isinstance(POLICY.decide(method, "http://a.example.org/"), Denied), method


def test_entries_for_one_host_add_up() -> None:
    policy = EgressPolicy(
        (
            AllowedHost("*.example.org", ports=(80,), methods=("GET",)),
            AllowedHost("a.example.org", ports=(80,), methods=("POST",), allow_private=True),
        )
    )
    get, post = (policy.decide(method, "http://a.example.org/") for method in ("GET", "POST"))
    assert isinstance(get, Allowed)
    assert not get.allow_private
    assert isinstance(post, Allowed)
    assert post.allow_private
    assert isinstance(policy.decide("POST", "http://b.example.org/"), Denied)


@pytest.mark.parametrize(
    ("method", "target", "reason"),
    [
        ("CONNECT", "evil.example:443", "This session may not reach evil.example; its profile allows: example.com, "),
        (
            "CONNECT",
            "example.com:22",
            "This session may not reach example.com on port 22; its profile allows there: 443.",
        ),
        ("GET", "http://mirror.example:8080/", "reach mirror.example on port 8080; its profile allows there: 80, 443."),
        ("PUT", "http://a.example.org/", "may not send PUT to a.example.org; its profile allows there: GET, HEAD."),
        ("GET", "https://example.com/", "'https://example.com/' is no http:// URL (https goes by CONNECT)."),
        ("CONNECT", "a\x00b\r\n" + "c" * 500, r"'a\x00b\r\ncc"),
        ("CONNECT", "user:secret@example.com:443", "a user name or password must not stand before the host."),
    ],
)
def test_a_denial_says_in_the_users_terms_what_is_wrong_and_what_is_allowed(
    method: str, target: str, reason: str
) -> None:
    decision = POLICY.decide(method, target)
    assert isinstance(decision, Denied)
    assert reason in decision.reason
    assert decision.reason.isascii()
    assert decision.reason.isprintable()
    assert len(decision.reason) < 400
    assert "secret" not in decision.reason


def test_a_long_list_is_told_in_part() -> None:
    policy = EgressPolicy(tuple(AllowedHost(f"h{number}.example") for number in range(50)))
    decision = policy.decide("CONNECT", "evil.example:443")
    assert isinstance(decision, Denied)
    assert decision.reason.endswith("h6.example, h7.example and 42 more.")


@pytest.mark.parametrize(
    "name",
    [
        *("*", "*.", "*.com", "*.127.0.0.1", "*.1.2.3.4", "a.*.example.com", "**.example.com"),
        *("example.com.", "http://example.com", "example.com:443", "user@example.com", "bücher.example"),
        *("127.1", "[::1%eth0]", "fe80::1%eth0", ""),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"host name|address|too wide|user name|form"):
        AllowedHost(name)


def test_an_entry_is_kept_in_its_normal_form() -> None:
    assert AllowedHost("*.Example.ORG").name == "*.example.org"
    assert AllowedHost("[2001:DB8:0::1]").name == AllowedHost("2001:db8::1").name == "2001:db8::1"


@pytest.mark.parametrize("ports", [(), (0,), (65536,), (-1,), (True,), ("443",)])
def test_an_entry_needs_real_ports(ports: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="allowed: one or more from 1 to 65535"):
        AllowedHost("example.com", ports=ports)


@pytest.mark.parametrize("methods", [("CONNECT",), ("get",), ("",), ("GET POST",)])
def test_an_entry_needs_real_methods(methods: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="names like GET, but not CONNECT"):
        AllowedHost("example.com", methods=methods)


HOSTS = st.sampled_from(["example.com", "a.example.org", "evil.example", "127.0.0.1", "[::1]", *BAD_HOSTS]) | st.text()
TARGETS = (
    st.text()
    | st.builds("{}:{}".format, HOSTS, st.sampled_from(["443", "80", *BAD_PORTS]) | st.text())
    | st.builds("http://{}{}".format, HOSTS, st.text())
)


@given(method=st.sampled_from(["CONNECT", "GET", "POST", ""]) | st.text(), target=TARGETS)
@example(method="CONNECT", target="example.com:443")
@example(method="GET", target="http://a.example.org/")
def test_any_text_is_denied_or_leads_to_a_listed_host(method: str, target: str) -> None:
    decision = POLICY.decide(method, target)
    assert isinstance(EgressPolicy().decide(method, target), Denied)
    if isinstance(decision, Denied):
        assert decision.reason.isascii()
        assert decision.reason.isprintable()
        return
    found = decision.target
    assert any(entry.covers(found.host) and found.port in entry.ports for entry in POLICY.hosts)
    assert found.path.isascii()
    assert found.path.isprintable()
    assert found.host in target.lower() or found.is_address
    assert parse_connect(found.authority).host == found.host
