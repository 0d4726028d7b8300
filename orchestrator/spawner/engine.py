"""The Docker Engine, as far as sandboxes need it. All calls block; the server makes them in threads."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import docker
import requests
import structlog
from docker.errors import APIError, DockerException, NotFound

from orchestrator.config import Profile
from orchestrator.lines.messages import Refused
from orchestrator.spawner.container import CPU_SHARES, LEAST_CPU_SHARES, Data, container_settings
from orchestrator.spawner.requests import (
    AnyRequest,
    Check,
    Checked,
    Create,
    Created,
    Inspect,
    Inspected,
    ListSandboxes,
    Sandbox,
    Stats,
    Stop,
    Used,
    Weigh,
)

log = structlog.get_logger()
_ENGINE_TIMEOUT_S = 60
_EVENT_RETRY_S = 2.0
_EVENTS_TIMEOUT_S = 24 * 3600


class Engine:
    """Sandboxes of one instance on one Docker Engine."""

    def __init__(self, instance: str, profiles: Mapping[str, Profile], data: Data, address: str | None = None) -> None:
        self._instance = instance
        self._address = address  # None: the engine's usual socket
        self._profiles = profiles
        self._data = data
        self._connection: docker.APIClient | None = None
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._oom_kills: Counter[str] = Counter()

    def answer(self, request: AnyRequest) -> Any:
        """Do what was asked and return the answer's model.

        Raises:
            Refused: it cannot be done; the detail says why.

        """
        with _engine_errors():
            match request:
                case Create():
                    with self._locks[request.session_id]:
                        return self._create(request)
                case Stop():
                    with self._locks[request.session_id]:
                        return self._stop(request.session_id)
                case Inspect():
                    return self._inspect(request.session_id)
                case Stats():
                    return self._stats(request.session_id)
                case Weigh():
                    with self._locks[request.session_id]:
                        return self._weigh(request.session_id, least=request.least)
                case ListSandboxes():
                    return self._list()
                case Check():
                    return self._check()

    def watch_out_of_memory(self) -> None:
        """Count out-of-memory kills of this instance's sandboxes, for ever. Blocks; runs in a daemon thread."""
        filters = {"label": f"glovebox.instance={self._instance}", "event": "oom"}
        while True:
            try:
                for event in docker.APIClient(self._address, "auto", _EVENTS_TIMEOUT_S).events(
                    decode=True, filters=filters
                ):
                    self._oom_kills[event["Actor"]["Attributes"].get("glovebox.session", "")] += 1
            except (DockerException, requests.RequestException, ValueError) as error:
                log.warning("engine events interrupted", error=str(error))
            time.sleep(_EVENT_RETRY_S)

    def _api(self) -> docker.APIClient:
        if self._connection is None:
            self._connection = docker.APIClient(self._address, "auto", _ENGINE_TIMEOUT_S)
        return self._connection

    def _name(self, session_id: str) -> str:
        return f"{self._instance}-{session_id}"

    def _create(self, request: Create) -> Created:
        profile = self._profiles.get(request.profile)
        if profile is None:
            raise Refused("unknown_profile", f"There is no profile {request.profile!r}.")
        name = self._name(request.session_id)
        found = self._find(name)
        if found is not None:
            same_uid = found["Config"]["Labels"].get("glovebox.uid") == str(request.uid)
            if found["State"]["Running"] and same_uid:
                return Created(new=False)
            self._remove(name)
        labels = {
            "glovebox.instance": self._instance,
            "glovebox.session": request.session_id,
            "glovebox.profile": request.profile,
            "glovebox.uid": str(request.uid),
        }
        self._oom_kills.pop(request.session_id, None)
        settings = container_settings(request, profile, self._data, labels)
        api = self._api()
        try:
            api.create_container_from_config(settings, name)
            api.start(name)
        except NotFound as error:
            self._remove(name)
            detail = f"The image {profile.image!r} is not on this host; run './glovebox up' to build it."
            raise Refused("sandbox_image_missing", detail) from error
        except APIError as error:
            self._remove(name)
            if "runtime" in str(error.explanation):
                detail = f"The engine does not know the runtime {profile.runtime!r} of profile {request.profile!r}."
                raise Refused("runtime_missing", f"{detail} See './glovebox doctor'.") from error
            raise
        except BaseException:
            self._remove(name)
            raise
        return Created(new=True)

    def _stop(self, session_id: str) -> dict[str, Any]:
        self._remove(self._name(session_id))
        self._oom_kills.pop(session_id, None)
        return {}

    def _inspect(self, session_id: str) -> Inspected:
        found = self._find(self._name(session_id))
        state = found["State"] if found else {}
        killed = int(bool(state.get("OOMKilled")))
        return Inspected(
            running=bool(state.get("Running")),
            oom_kills=max(killed, self._oom_kills[session_id]),
            exit_code=state.get("ExitCode"),
        )

    def _stats(self, session_id: str) -> Used:
        raw = self._api().stats(self._name(session_id), stream=False, one_shot=True)
        return Used(
            memory_bytes=raw.get("memory_stats", {}).get("usage", 0),
            cpu_ns=raw.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage", 0),
            pids=raw.get("pids_stats", {}).get("current", 0),
        )

    def _weigh(self, session_id: str, *, least: bool) -> dict[str, Any]:
        name = self._name(session_id)
        if self._find(name) is None:
            raise Refused("no_sandbox", "That session has no sandbox.")
        self._api().update_container(name, cpu_shares=LEAST_CPU_SHARES if least else CPU_SHARES)
        return {}

    def _list(self) -> list[Sandbox]:
        found = self._api().containers(all=True, filters={"label": f"glovebox.instance={self._instance}"})
        return [
            Sandbox(
                session_id=container["Labels"].get("glovebox.session", ""),
                profile=container["Labels"].get("glovebox.profile", ""),
                running=container["State"] == "running",
            )
            for container in found
        ]

    def _check(self) -> Checked:
        api = self._api()
        about = api.info()
        missing = []
        for name, profile in self._profiles.items():
            if profile.runtime not in about.get("Runtimes", {}):
                missing.append(f"profile {name!r}: the engine does not know the runtime {profile.runtime!r}")
            try:
                api.inspect_image(profile.image)
            except NotFound:
                missing.append(f"profile {name!r}: the image {profile.image!r} is not on this host")
        return Checked(engine=str(about.get("ServerVersion", "?")), missing=missing)

    def _find(self, name: str) -> dict[str, Any] | None:
        """Return a container of this instance, or None. One of a foreign label is not ours to touch."""
        try:
            found: dict[str, Any] = self._api().inspect_container(name)
        except NotFound:
            return None
        if found["Config"]["Labels"].get("glovebox.instance") != self._instance:
            raise Refused("name_taken", f"A container named {name!r} exists that this Glovebox did not make.")
        return found

    def _remove(self, name: str) -> None:
        """Kill and remove a container, and return only when it is gone."""
        if self._find(name) is None:
            return
        try:
            self._api().remove_container(name, v=True, force=True)
        except NotFound:
            return
        except APIError as error:
            if error.status_code != 409:  # its removal is under way
                raise
        deadline = time.monotonic() + _ENGINE_TIMEOUT_S
        while self._find(name) is not None:
            if time.monotonic() > deadline:
                raise Refused("sandbox_stuck", f"The container {name!r} does not go away; see the engine's log.")
            time.sleep(0.02)


@contextmanager
def _engine_errors() -> Iterator[None]:
    """Turn what the engine or its absence raises into a refusal that says what to do."""
    try:
        yield
    except APIError as error:
        raise Refused("engine_error", f"The Docker Engine refused: {error.explanation or error}.") from error
    except (DockerException, requests.RequestException) as error:
        detail = "The Docker Engine does not answer. Is it running? See './glovebox doctor'."
        raise Refused("engine_unavailable", detail) from error
