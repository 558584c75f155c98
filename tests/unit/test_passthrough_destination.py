"""Where a passed-on request may go: the path is the client's, the host never is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from trunkline.errors import InvalidRequest
from trunkline.providers.passthrough.destination import checked, filtered, join

BASE = "https://api.example.com/v1"


@pytest.mark.parametrize(
    "path",
    [
        "/../secrets",
        "/v1/../../secrets",
        "/v1/..",
        "/./v1",
        "/%2e%2e/secrets",
        "/%2E%2e/secrets",
        "/.%2e/secrets",
        "/a%2f..%2fb",
        "/%252e%252e/secrets",
        "/a\\..\\b",
        "/a%5c..%5cb",
        "/a%5cb",
        "/a%0d%0aHost:%20evil",
        "/a%00b",
        "/a%250d%250ab",
        "//evil.example",
        "//evil.example/v1/models",
        "/%2525252525252e",
        "@evil.example",
        "https://evil.example/",
        "/caf\xe9",
    ],
)
def test_a_path_that_another_server_could_misread_is_refused(path: str) -> None:
    with pytest.raises(InvalidRequest):
        checked(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/v1/models",
        "/v1/files/file-1/content",
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aprofile%2Fabc/converse",
        "/v1beta/models/gemini-2.5-flash:generateContent",
        "/a//b",
        "/x/@user/https://elsewhere.example/",
        "/100%25",
    ],
)
def test_any_other_path_goes_on_as_it_stands(path: str) -> None:
    assert checked(path) == path
    assert str(join("https://api.example.com", path)) == f"https://api.example.com{path}"


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#")))
def test_no_path_chooses_the_host(path: str) -> None:
    try:
        url = join(BASE, checked(f"/{path}"))
    except InvalidRequest:
        return
    assert (url.scheme, url.host, url.port, url.user) == ("https", "api.example.com", 443, None)
    assert URL(str(url)).host == "api.example.com"


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        (BASE, "/v1/models", "https://api.example.com/v1/models"),
        (BASE, "/models", "https://api.example.com/v1/models"),
        (f"{BASE}/", "/v1/models", "https://api.example.com/v1/models"),
        (BASE, "/v2/rerank", "https://api.example.com/v2/rerank"),
        (BASE, "/v1beta/models", "https://api.example.com/v1beta/models"),
        (BASE, "/v1x/models", "https://api.example.com/v1/v1x/models"),
        ("https://api.example.com", "/v1/models", "https://api.example.com/v1/models"),
        ("https://gw.example.com/api/v1", "/v1/x", "https://gw.example.com/api/v1/x"),
        ("http://127.0.0.1:8000/v1/proxy", "/v1/x", "http://127.0.0.1:8000/v1/proxy/v1/x"),
    ],
)
def test_a_version_that_base_and_path_both_name_stands_once(base: str, path: str, url: str) -> None:
    assert str(join(base, path)) == url


def test_the_query_stays_as_it_is_but_for_what_is_ours() -> None:
    query = "a=1&key=sk-ours&b=%20x+y&a=2&empty&key%20=3"
    kept = filtered(query, lambda name, value: value == "sk-ours")
    assert kept == "a=1&b=%20x+y&a=2&empty&key%20=3"
