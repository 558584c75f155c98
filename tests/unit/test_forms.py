"""Forms come out of the gateway as they came in, but for what it decides."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.api.multipart import Form, read_form
from trunkline.call import Call, Upload
from trunkline.errors import InvalidRequest, RequestTooLarge
from trunkline.operations import OPERATIONS
from trunkline.providers.batch_files import first_model, with_models
from trunkline.providers.forms import FormBody
from trunkline.providers.traits import traits

pytestmark = pytest.mark.criterion("R1.2")

FILES = next(operation for operation in OPERATIONS if operation.name == "files.create")
TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=10)


def upload(content: bytes, field: str = "file", filename: str = "a.bin") -> Upload:
    return Upload(field, filename, "application/octet-stream", io.BytesIO(content))


def call(*parts: tuple[str, str | Upload], **fields: Any) -> Call:
    uploads = tuple(value for _, value in parts if isinstance(value, Upload))
    return Call("c", FILES, "", fields, 0.0, uploads=uploads, form=parts)


async def read(body: bytes, content_type: str, limit: int = 1 << 24, step: int = 1000) -> Form:
    pieces = [body[at : at + step] for at in range(0, len(body), step)] or [b""]

    async def receive() -> dict[str, Any]:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    return await read_form(receive, {"content-type": content_type}, limit)


async def sent(asked: Call, fields: dict[str, Any]) -> tuple[FormBody, bytes]:
    form = FormBody(asked, fields)
    return form, b"".join([chunk async for chunk in form])


@given(
    fields=st.lists(st.tuples(NAMES, TEXT), max_size=4, unique_by=lambda pair: pair[0]),
    content=st.binary(max_size=3000),
    filename=TEXT.filter(lambda name: name.isprintable() and "\\" not in name and '"' not in name),
    step=st.integers(1, 500),
)
async def test_a_form_survives_the_way_through(fields, content, filename, step):
    file = upload(content, filename=filename)
    asked = call(*fields, ("file[]", file), **dict(fields))
    form, body = await sent(asked, asked.body)
    assert len(body) == form.length
    again = await read(body, form.content_type, step=step)
    assert [value for _, value in again.parts if isinstance(value, str)] == [v for _, v in fields]
    assert again.fields == dict(fields)
    [back] = again.uploads
    assert (back.field, back.filename, back.file.read()) == ("file", filename, content)


async def test_a_form_can_be_sent_twice():
    asked = call(("file", upload(b"x" * 2_000_000)))
    form, first = await sent(asked, {})
    assert b"".join([chunk async for chunk in form]) == first


async def test_fields_are_sent_with_what_they_hold_now():
    asked = call(("model", "group"), ("a[]", "1"), ("a[]", "2"), ("b[c]", "3"), ("gone", "4"))
    form, body = await sent(asked, {"model": "gpt", "a": ["1", "2"], "b": {"c": "3"}})
    again = await read(body, form.content_type)
    assert again.parts == (("model", "gpt"), ("a[]", "1"), ("a[]", "2"), ("b[c]", "3"))
    assert again.fields == {"model": "gpt", "a": ["1", "2"], "b": {"c": "3"}}


async def test_a_model_of_the_path_stands_in_the_form():
    form, body = await sent(call(("file", upload(b"x"))), {"model": "whisper"})
    assert (await read(body, form.content_type)).fields == {"model": "whisper"}


async def test_a_name_can_not_break_out_of_its_header():
    form, body = await sent(call(("file", upload(b"x", filename='a"\r\nx-evil: 1\r\n\r\n'))), {})
    assert b"\r\nx-evil" not in body
    assert len((await read(body, form.content_type)).uploads) == 1


async def test_a_form_beyond_the_limit_is_refused():
    form, body = await sent(call(("file", upload(b"x" * 5000))), {})
    with pytest.raises(RequestTooLarge):
        await read(body, form.content_type, limit=4000)


async def test_a_field_that_is_named_twice_is_an_array():
    asked = call(("a", "1"), ("a", "2"))
    form, body = await sent(asked, {"a": ["1", "2"]})
    assert (await read(body, form.content_type)).fields == {"a": ["1", "2"]}


async def test_more_parts_than_anybody_needs_are_refused():
    parts = [(f"f{number}", "x") for number in range(2000)]
    form, body = await sent(call(*parts), dict(parts))
    with pytest.raises(InvalidRequest, match="Too many fields"):
        await read(body, form.content_type)


LINES = (
    b'{"custom_id": "1", "body": {"model": "ours", "n": 1}}\r\n'
    b"\n"
    b'{"custom_id": "2", "body": {"model": "theirs"}}\n'
    b'{"custom_id": "3", "body": {"model": ["ours"]}}\n'
    b"not json\n"
    b'["a"]\n'
    b'{"custom_id": "4", "body": {"model": "ours", "t": "\xc3\xa9"}}'
)


async def test_a_batch_file_is_changed_only_where_it_names_our_models():
    asked = []

    def rename(model: str) -> str | None:
        asked.append(model)
        return {"ours": "gpt-4o"}.get(model)

    renamed = (await with_models(upload(LINES), rename)).file.read()
    before, after = LINES.split(b"\n"), renamed.split(b"\n")
    assert after[1:6] == before[1:6]
    assert json.loads(after[0]) == {"custom_id": "1", "body": {"model": "gpt-4o", "n": 1}}
    assert after[0].endswith(b"\r")
    assert json.loads(after[6])["body"] == {"model": "gpt-4o", "t": "é"}
    assert asked == ["ours", "theirs"]


@pytest.mark.parametrize(
    ("content", "model"),
    [(LINES, "ours"), (b"", ""), (b"x\n", ""), (b"{}\n", ""), (b'{"body": {"model": 1}}', "")],
)
def test_the_first_line_says_whose_the_batch_is(content, model):
    file = upload(content)
    assert first_model(file) == model
    assert file.file.read() == content


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(
            st.sampled_from(["messages", "role", "content", "type", "tools", "function", "input",
                             "generationConfig", "image_url", "text", "name"]), inner),
        max_leaves=30,
    )
)  # fmt: skip
def test_no_body_is_too_odd_to_be_looked_at(value):
    traits({"messages": value, "tools": value, "input": value, "generationConfig": value})
