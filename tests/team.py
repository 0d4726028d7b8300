"""A team on a stack: people with passwords, tokens and logins, as tests need them."""

from typing import Any

import httpx2

PASSWORD = "a password for tests only"
TEAM: dict[str, Any] = {
    "config": {"people": {"mode": "team"}},
    "environ": {"GLOVEBOX_ADMIN_PASSWORD": PASSWORD},
}


class Team:
    """People of a stack in team mode, beside its first admin; and some who are out."""

    def __init__(self, client: httpx2.Client, names: list[str]) -> None:
        self._client = client
        self._makers = {"admin": self._maker("admin")}
        for name in names:
            self.add(name)
        self.add("gone")
        self.revoked = self.token("gone")
        self.send("POST", "/v1/logout", self.revoked)
        self.logged_out = self.log_in("gone")
        self.send("POST", "/v1/logout", self.logged_out)
        self.add("disabled")
        self.disabled = self.token("disabled")
        self.send("PATCH", "/v1/users/disabled", self._makers["admin"], {"disabled": True})

    def add(self, name: str, **fields: Any) -> None:
        self.send("POST", "/v1/users", self._makers["admin"], {"name": name, "password": PASSWORD, **fields})
        self._makers[name] = self._maker(name)

    def log_in(self, name: str) -> str:
        """Return a new login of somebody's."""
        return str(self.send("POST", "/v1/login", None, {"name": name, "password": PASSWORD})["token"])

    def token(self, name: str) -> str:
        """Return a new token of somebody's."""
        return str(self.send("POST", "/v1/tokens", self._makers[name], {"name": "test"})["token"])

    def token_id(self, headers: dict[str, str]) -> str:
        """Return the id of a new token of whoever asks with these headers."""
        answer = self._client.post("/v1/tokens", json={"name": "test"}, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def end_logins(self, name: str) -> None:
        """Give somebody their own password once more, which ends all that came in with it."""
        self.send("PATCH", f"/v1/users/{name}", self._makers["admin"], {"password": PASSWORD})

    def accounts(self) -> Any:
        return self.send("GET", "/v1/users", self._makers["admin"])

    def _maker(self, name: str) -> str:
        login = self.log_in(name)
        return str(self.send("POST", "/v1/tokens", login, {"name": "maker"})["token"])

    def send(self, method: str, path: str, secret: str | None, body: Any = None) -> Any:
        """Send what must work, as whoever has this secret."""
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        answer = self._client.request(method, path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None
