"""Where cloud accounts get their credentials from: AWS's STS and Microsoft's Entra, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from tests.fakes import FakeProvider
from tests.fakes.bedrock import signature
from tests.fakes.reply import Exchange, Refused, Reply, ok
from tests.fakes.server import Route
from tests.support.certificates import self_signed

ENTRA = "login.microsoftonline.com"
_STS = "https://sts.amazonaws.com/doc/2011-06-15/"


class FakeSts(FakeProvider):
    """AWS's Security Token Service: who calls, and the credentials of roles.

    credentials: secret keys by access key, of those who may assume roles.
    closed: roles that nobody may assume. identities: the web identities that are known.
    issued: secret keys by access key, of the roles that were assumed.
    session_token: what comes with every role's credentials.
    """

    name = "sts"
    session_token = "the-session-token-of-a-role"

    def __init__(self, *, credentials: Mapping[str, str], **options: Any) -> None:
        super().__init__(**options)
        self.credentials = dict(credentials)
        self.issued: dict[str, str] = {}
        self.assumed: list[dict[str, str]] = []
        self.closed: set[str] = set()
        self.identities: set[str] = set()

    def routes(self) -> list[Route]:
        return [("POST", "/", self._act)]

    def error(self, status: int, message: str = "", code: str = "AccessDenied") -> Reply:
        body = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message>"
        return Reply(status, f"{body}</Error></ErrorResponse>".encode(), content_type="text/xml")

    def _act(self, x: Exchange) -> Reply:
        asked = dict(parse_qsl(x.recorded.body.decode()))
        if asked["Action"] == "AssumeRoleWithWebIdentity":
            if asked["WebIdentityToken"] not in self.identities:
                reason = "No OpenIDConnect provider found in your account"
                raise Refused(self.error(400, reason, "InvalidIdentityToken"))
        else:
            self._check(x)
        if asked.get("RoleArn") in self.closed:
            reason = f"not authorized to perform: sts:AssumeRole on resource: {asked['RoleArn']}"
            raise Refused(self.error(403, reason))
        if asked["Action"] == "GetCallerIdentity":
            return _xml(asked, "<Arn>arn:aws:iam::123456789012:user/caller</Arn>")
        key = self.new_id("ASIA", 16).upper()
        self.issued[key] = self.new_id("role-secret-", 28)
        self.assumed.append(asked)
        expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
        return _xml(
            asked,
            f"<Credentials><AccessKeyId>{key}</AccessKeyId>"
            f"<SecretAccessKey>{self.issued[key]}</SecretAccessKey>"
            f"<SessionToken>{self.session_token}</SessionToken>"
            f"<Expiration>{expires:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>"
            "<PackedPolicySize>1</PackedPolicySize>",
        )

    def _check(self, x: Exchange) -> None:
        signed = signature.read(x.recorded)
        secret = self.credentials.get(signed.access_key) if signed else None
        if not (signed and secret and signature.genuine(x.recorded, signed, secret)):
            raise Refused(self.error(403, "The signature is nobody's."))


def _xml(asked: Mapping[str, str], result: str) -> Reply:
    action = asked["Action"]
    body = (
        f'<{action}Response xmlns="{_STS}"><{action}Result>{result}</{action}Result>'
        f"<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{action}Response>"
    )
    return Reply(body=body.encode(), content_type="text/xml")


class FakeEntra(FakeProvider):
    """Microsoft's login for applications: tokens for a client's id and secret.

    clients: secrets by client id. tenant: the only one there is; "" for any.
    tokens: what was issued.
    """

    name = "entra"

    def __init__(self, *, clients: Mapping[str, str], tenant: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.clients = dict(clients)
        self.tenant = tenant
        self.tokens: list[str] = []

    def routes(self) -> list[Route]:
        return [
            ("GET", "/{tenant}/v2.0/.well-known/openid-configuration", self._described),
            ("GET", "/common/discovery/instance", lambda x: ok({"metadata": []})),
            ("POST", "/{tenant}/oauth2/v2.0/token", self._token),
        ]

    def error(self, status: int, message: str = "", code: str = "invalid_client") -> Reply:
        return Reply(status, json.dumps({"error": code, "error_description": message}).encode())

    def _described(self, x: Exchange) -> Reply:
        if self.tenant not in {"", x.path["tenant"]}:
            reason = f"AADSTS90002: Tenant '{x.path['tenant']}' not found."
            raise Refused(self.error(400, reason, "invalid_tenant"))
        tenant = f"https://{ENTRA}/{x.path['tenant']}"
        return ok(
            {
                "issuer": f"{tenant}/v2.0",
                "authorization_endpoint": f"{tenant}/oauth2/v2.0/authorize",
                "token_endpoint": f"{tenant}/oauth2/v2.0/token",
            }
        )

    def _token(self, x: Exchange) -> Reply:
        form = dict(parse_qsl(x.recorded.body.decode()))
        proof = form.get("client_secret") or form.get("client_assertion")
        if self.clients.get(form.get("client_id", "")) != proof:
            raise Refused(self.error(401, "AADSTS7000215: Invalid client secret provided."))
        self.tokens.append(self.new_id("entra-token-", 20))
        return ok({"token_type": "Bearer", "expires_in": 3599, "access_token": self.tokens[-1]})


class Tunnel:
    """A proxy that takes every connection to a TLS host for one with a fake.

    Programs reach it by HTTPS_PROXY and trust it by `certificate`, a file of its own authority.
    asked: the hosts that it was asked to reach, with their ports.
    """

    def __init__(self, host: str, fake: FakeProvider, folder: Path) -> None:
        self.certificate = folder / "authority.pem"
        self.asked: list[str] = []
        self._fake = fake
        self._tls = _tls(host, self.certificate)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        """What leads Python's HTTP clients through it."""
        url = f"http://127.0.0.1:{self.port}"
        return {"HTTPS_PROXY": url, "REQUESTS_CA_BUNDLE": str(self.certificate)}

    def __enter__(self) -> Tunnel:
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)

    async def _open(self) -> int:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.split()[1].decode())
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await writer.start_tls(self._tls)
            inner, outer = await asyncio.open_connection("127.0.0.1", self._fake.port)
            await asyncio.gather(_pump(reader, outer), _pump(inner, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


def _tls(host: str, certificate: Path) -> ssl.SSLContext:
    """TLS as a host, with a certificate that stands in the file."""
    private = self_signed(host, certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)
    return context
