"""A route whose plain requests are answered without FastAPI's general way of reading them.

That way costs a small cell as much as its kernel does: contexts for dependencies that have to be closed, caches for
those that are shared, every kind of parameter. Here the endpoint's own dependencies are called, and its body is
validated by its own model; a request that is in any way not plain takes the general way, which says what is wrong.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

_JSON = (b"content-type", b"application/json")


class DirectRoute(APIRoute):
    """For endpoints that take one body in JSON, the request, and dependencies on the request and on its path."""

    def __init__(self, path: str, endpoint: Callable[..., Awaitable[Response]], **about: Any) -> None:
        super().__init__(path, endpoint, **about)
        (self._body,) = self.dependant.body_params
        self._model: type[BaseModel] = self._body.field_info.annotation  # type: ignore[assignment]
        for needed in (self.dependant, *self.dependant.dependencies):
            if needed.query_params or needed.header_params or needed.cookie_params:
                raise TypeError(f"{endpoint.__name__} needs more than a direct route reads")

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        message = await receive()
        given = self._given(scope, message)
        if given is None:
            await super().handle(scope, _after(message, receive), send)
            return
        request = Request(scope, receive, send)
        values: dict[str, Any] = {self._body.name: given}
        for needed in self.dependant.dependencies:
            values[str(needed.name)] = await _solved(needed, request)
        if self.dependant.request_param_name is not None:
            values[self.dependant.request_param_name] = request
        response = await self.endpoint(**values)
        await response(scope, receive, send)

    def _given(self, scope: Scope, message: Message) -> BaseModel | None:
        """Return the body of a plain request: path and body are as they should be, and it is all there at once."""
        if _JSON not in scope["headers"] or message.get("more_body", False):
            return None
        for needed in self.dependant.dependencies:
            for parameter in needed.path_params:
                if parameter.validate(scope["path_params"][parameter.alias], loc=("path",))[1]:
                    return None
        try:
            return self._model.model_validate_json(message.get("body", b""))
        except ValidationError:
            return None


async def _solved(needed: Dependant, request: Request) -> Any:
    values: dict[str, Any] = {one.name: request.path_params[one.alias] for one in needed.path_params}
    if needed.request_param_name is not None:
        values[needed.request_param_name] = request
    call: Callable[..., Awaitable[Any]] = needed.call  # type: ignore[assignment]
    return await call(**values)


def _after(message: Message, receive: Receive) -> Receive:
    """Return what gives a message that was taken once more, and then those that follow it."""
    waiting = [message]

    async def receiving() -> Message:
        return waiting.pop() if waiting else await receive()

    return receiving
