"""The page of `crild play` and what it asks for: Python's own HTTP server, on this machine alone unless told otherwise.

Nothing but the page itself may ask: the name that a request is sent to (its Host header) must be this machine's, else
a page on the web could reach the server under a name of its own that it lets point here (DNS rebinding); and questions
are JSON, which no other page may send without leave.
"""

import errno
import ipaddress
import json
import secrets
import socket
import socketserver
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from crild.config import PlayConfig
from crild.console import say, warn
from crild.errors import CrildError, first_line
from crild.escaping import plain
from crild.playground.answers import Players, load_players
from crild.playground.rows import PAGE, Differences
from crild.run.folder import RunFolder
from crild.run.result import CALLED

MOST_CHARACTERS = 20_000  # of a text; models read far less
MOST_BYTES = 8 * MOST_CHARACTERS + 1000  # of two texts in UTF-8, as JSON
WAITS = 30  # seconds for the rest of a request
TITLES = {"differ": "all on which they differ", "student-wrong": "student wrong, teacher right",
          "teacher-wrong": "teacher wrong, student right", "all": "all rows"}  # fmt: skip


class Refused(Exception):
    """A request that is not answered: with which status, and why."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Playground(ThreadingHTTPServer):
    """The server of one run; it listens at once, and answers after `open`.

    Args:
        host, port: where; port 0 is any free one.

    Raises:
        CrildError: it cannot listen there.
    """

    daemon_threads = True
    run: RunFolder
    players: Players
    differences: Differences | None

    def __init__(self, host: str, port: int) -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            self.address_family = found[0]
            super().__init__(found[4][:2], Handler)  # type: ignore[arg-type]
        except OSError as error:
            raise CrildError(refusal(host, port, error)) from None
        self.host = host
        self.is_local = ipaddress.ip_address(self.host_and_port[0]).is_loopback
        self.lock = Lock()  # the models answer one question at a time: two at once would be timed wrong

    def server_bind(self) -> None:
        """Bind without looking this machine's name up in the network, as the class above would."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.host_and_port

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Where it listens."""
        return str(self.server_address[0]), int(self.server_address[1])

    @property
    def url(self) -> str:
        """Of the page."""
        host, port = self.host_and_port
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    def open(self, run: RunFolder) -> None:
        """Load a run's models and rows."""
        self.run, self.players, self.differences = run, load_players(run), Differences.of(run)

    @cached_property
    def nonce(self) -> str:
        """What marks the page's own script and style as the only ones that may act."""
        return secrets.token_urlsafe(16)

    @cached_property
    def page(self) -> bytes:
        """The page."""
        return render(self.run, self.players, self.differences, self.nonce).encode()

    def is_own(self, name: str) -> bool:
        """Return whether a name with its port, as in a Host header, means this server.

        A number is no name that somebody else could let point here. On this machine alone it has to be this machine's.
        """
        try:
            host = urlsplit(f"//{name}").hostname or ""
        except ValueError:  # half an IPv6 address
            return False
        try:
            return ipaddress.ip_address(host).is_loopback or not self.is_local
        except ValueError:
            return host in ("localhost", self.host.casefold())

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Playground
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "crild", ""
    timeout = WAITS

    def do_GET(self) -> None:
        """Answer the page, or rows of it."""
        with self.answered():
            asked = urlsplit(self.path)
            if asked.path == "/":
                self.send(HTTPStatus.OK, self.server.page, "text/html; charset=utf-8")
            elif asked.path == "/rows" and self.server.differences is not None:
                self.send_json(HTTPStatus.OK, rows(self.server.differences, asked.query))
            else:
                raise Refused(HTTPStatus.NOT_FOUND, "there is nothing of that name")

    def do_POST(self) -> None:
        """Answer a text."""
        with self.answered():
            if self.path != "/answer":
                raise Refused(HTTPStatus.NOT_FOUND, "there is nothing of that name")
            text = text_of(self.body(), self.server.players.pairs)
            with self.server.lock:
                found = self.server.players.answer(text)
            self.send_json(HTTPStatus.OK, {"answers": found})

    @contextmanager
    def answered(self) -> Iterator[None]:
        """Refuse a foreign request; turn what is refused, and what fails, into an answer."""
        try:
            if not self.server.is_own(self.headers.get("Host", "")):
                raise Refused(HTTPStatus.FORBIDDEN, "the Host header is none of this server")
            origin = self.headers.get("Origin")
            if origin is not None and origin != f"http://{self.headers['Host']}":
                raise Refused(HTTPStatus.FORBIDDEN, "another page may not ask")
            yield
        except Refused as refused:
            self.close_connection = True  # what it sent is not read
            self.send_json(refused.status, {"error": str(refused)})
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception as error:  # a model that cannot answer this text
            warn(f"no answer: {type(error).__name__}: {first_line(error)}")
            self.send_json(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": f"no answer: {first_line(error)}"})

    def body(self) -> bytes:
        """Return what was sent."""
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send JSON: Content-Type: application/json")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "say how long it is: Content-Length")
        if int(length) > MOST_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_long())
        return self.rfile.read(int(length))

    def send_json(self, status: HTTPStatus, values: Any) -> None:
        """Send values."""
        self.send(status, json.dumps(values, allow_nan=False).encode(), "application/json")

    def send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        """Send a page or values."""
        only = f"'nonce-{self.server.nonce}'"
        policy = (
            f"default-src 'none'; script-src {only}; style-src {only}; img-src data:; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: texts of rows are searched by address."""


def refusal(host: str, port: int, error: OSError) -> str:
    """Return why a server cannot listen somewhere, and what to do."""
    if isinstance(error, socket.gaierror):
        return f"--host {host}: there is no such host"
    if error.errno == errno.EADDRINUSE:
        return f"--port {port}: another program listens there; choose another one, or 0 for any that is free"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host}: no address of this machine"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"--port {port}: you may not listen there; choose one from 1024 on"
    return f"--host {host} --port {port}: {first_line(error)}"


def too_long() -> str:
    """Return what is said of a text that is too long."""
    return f"a text may have {MOST_CHARACTERS:,} characters"


def text_of(body: bytes, pairs: bool) -> str | tuple[str, str]:
    """Return the text, or pair of texts, of a question: ``{"text": ..., "text_pair": ...}``.

    Raises:
        Refused: it is none.
    """
    try:
        asked = json.loads(body)
    except ValueError:  # no JSON, or no UTF-8
        asked = None
    names = ("text", "text_pair") if pairs else ("text",)
    if not isinstance(asked, dict) or sorted(asked) != sorted(names):
        raise Refused(HTTPStatus.BAD_REQUEST, f"send an object with {' and '.join(names)}")
    texts = [asked[name] for name in names]
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise Refused(HTTPStatus.BAD_REQUEST, f"{' and '.join(names)}: type something")
    if max(map(len, texts)) > MOST_CHARACTERS:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_long())
    texts = [text.encode("utf-8", "replace").decode() for text in texts]  # JSON may hold halves of characters
    return (texts[0], texts[1]) if pairs else texts[0]


def rows(differences: Differences, query: str) -> dict[str, Any]:
    """Return the rows that a query asks for: ``group``, ``words``, ``first``.

    Raises:
        Refused: there is no such group, or ``first`` is no number.
    """
    asked = {name: values[-1] for name, values in parse_qs(query).items()}
    group, first = asked.get("group", next(iter(differences.groups))), asked.get("first", "0")
    if group not in differences.groups or not (first.isascii() and first.isdecimal() and len(first) < 10):
        raise Refused(HTTPStatus.BAD_REQUEST, f"group: one of {', '.join(differences.groups)}; first: a number")
    return differences.page(group, asked.get("words", ""), int(first))


def render(run: RunFolder, players: Players, differences: Differences | None, nonce: str) -> str:
    """Return the page; all that comes from a run is escaped.

    Args:
        run: finished.
        players: its models.
        differences: rows to browse; ``None`` where there is no student.
        nonce: marks script and style.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    return environment.get_template("page.html.j2").render(
        name=run.path.absolute().name,
        result=run.result,
        scores={CALLED.get(name, name): each.score for name, each in run.result.models.items() if each is not None},
        players=players,
        about={player.name: player.about for player in players.players} | {"classes": players.task_type.named},
        groups=None
        if differences is None
        else {name: (TITLES[name], len(rows)) for name, rows in differences.groups.items()},
        most=MOST_CHARACTERS,
        page=PAGE,
        nonce=nonce,
    )


def play(config: PlayConfig, ready: Callable[[str], None]) -> None:
    """Serve a run's page until Ctrl-C.

    Args:
        config: which run, and where.
        ready: called with the page's address once it answers.

    Raises:
        CrildError: there is no such run, none of its models is left, or nobody can listen there.
    """
    assert config.run is not None
    run = RunFolder.open(config.run)
    with Playground(config.host, config.port) as server:
        server.open(run)
        if not server.is_local:
            warn(f"--host {config.host}: whoever reaches this machine can read the run's rows and ask its models")
        ready(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("stopped")
