"""The connections to providers of one process."""

from __future__ import annotations

import os
import ssl

from ..settings import Settings
from ..settings.schema import LitellmSettings
from .client import aiohttp


def session_of(settings: Settings) -> aiohttp.ClientSession:
    """What the direct lane reaches providers with."""
    proxied = any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY"))
    return aiohttp.ClientSession(
        # Idle connections are given up before common servers and load balancers give them up.
        connector=aiohttp.TCPConnector(
            limit=0, keepalive_timeout=15, ttl_dns_cache=30, ssl=_tls(settings.litellm_settings)
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"accept-encoding": "identity", "user-agent": "trunkline"},
        read_bufsize=2**18,
        trust_env=proxied,
    )


def _tls(settings: LitellmSettings) -> ssl.SSLContext | bool:
    """How providers' certificates are checked: `ssl_verify`, or a file of authorities there."""
    verify, certificate = settings.ssl_verify, settings.ssl_certificate
    if verify is False:
        return False
    authorities = verify if isinstance(verify, str) else os.environ.get("SSL_CERT_FILE")
    if not (authorities or certificate):
        return True
    context = ssl.create_default_context(cafile=authorities)
    if certificate:
        context.load_cert_chain(certificate)
    return context
