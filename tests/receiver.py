"""Who is told: a real HTTP server that takes alerts and the pings of a dead man's switch."""

import re
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from etl.run import alerts

# Part of both addresses: it must not be in any log line.
SECRET = "geheim"


class Receiver:
    """Takes alerts in apprise's JSON form, and pings; answers all of them with `status`."""

    def __init__(self, server: HTTPServer) -> None:
        self.status = 200
        self.messages: list[str] = []
        self.kinds: list[str] = []
        self.pings: list[str] = []
        # What the pings carry.
        self.bodies: list[Any] = []
        address = f"127.0.0.1:{server.port}"
        self.environ = {
            alerts.ALERT_URLS: f"json://user:{SECRET}@{address}/alerts",
            alerts.HEARTBEAT_URL: f"http://{address}/ping/{SECRET}",
        }
        server.expect_request(re.compile(".*")).respond_with_handler(self.answer)

    def answer(self, request: Request) -> Response:
        if request.path == "/alerts":
            content: Any = request.get_json()
            # Without the names of database and host.
            title = re.sub(r" \(.*?\):", ":", content["title"], count=1)
            self.messages.append(f"{title}\n{content['message']}")
            self.kinds.append(content["type"])
        else:
            self.pings.append(request.path.removeprefix(f"/ping/{SECRET}"))
            self.bodies += [request.get_json()] if request.method == "POST" else []
        return Response("taken", status=self.status)

    def taken(self) -> str | None:
        """The one alert since the last look."""
        taken, self.messages = self.messages, []
        assert len(taken) <= 1
        return taken[0] if taken else None
