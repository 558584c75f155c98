"""Images, speech, transcriptions, translations and moderations."""

from __future__ import annotations

import time
from typing import Any

from ..reply import Exchange, Refused, Reply, event, ok, stream
from ..script import PIXEL, count, echo, pieces, text_of
from .content import check_model, missing, required, with_deployment
from .files import sent_file
from .objects import Object, fields

_AUDIO = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
_TEXT_HARMS = ("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit")
_TEXT_HARMS += ("illicit/violent", "sexual/minors")
_IMAGE_HARMS = ("self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "violence")
_IMAGE_HARMS += ("violence/graphic",)


# Images


def _generate(x: Exchange) -> Reply:
    return _images(x, required(x, "prompt"), "image_generation", given=0)


def _edit(x: Exchange) -> Reply:
    sent = [part for part in x.recorded.files if part.name in ("image", "image[]")]
    body = with_deployment(x, fields(x))
    check_model(x, body.get("model"))
    if not sent and "images" not in body and "image" not in body:
        raise Refused(missing(x, "image"))
    return _images(x, body, "image_edit", given=len(sent) or 1)


def _vary(x: Exchange) -> Reply:
    sent_file(x, "image")
    return _images(x, {"model": "dall-e-2", **x.recorded.form}, "image_variation", given=1)


def _images(x: Exchange, body: Object, kind: str, *, given: int) -> Reply:
    """DALL·E gives addresses unless asked for base64, the GPT image models always base64."""
    dall_e = str(body.get("model") or "dall-e-2").startswith("dall-e")
    if body.get("stream") in (True, "true"):
        return _image_stream(body, kind, given)
    number = int(body.get("n") or 1)
    if dall_e and body.get("response_format") != "b64_json":
        data = [{"url": f"{x.provider.url}/img/{index}.png"} for index in range(number)]
    else:
        data = [{"b64_json": PIXEL} for _ in range(number)]
    answer: Object = {"created": int(time.time()), "data": data}
    if body.get("model") == "dall-e-3":
        data[0]["revised_prompt"] = echo(body.get("prompt", ""))
    if not dall_e:
        answer |= {
            "background": "opaque",
            "output_format": body.get("output_format") or "png",
            "quality": "low",
            "size": "1024x1024",
            "usage": _image_usage(body, given, number),
        }
    return ok(answer)


def _image_usage(body: Object, given: int, number: int) -> Object:
    """100 tokens for an image that is made, 50 for one that is given, words for the prompt."""
    text = count(body.get("prompt") or "")
    read, made = text + 50 * given, 100 * number
    return {
        "input_tokens": read,
        "input_tokens_details": {"text_tokens": text, "image_tokens": 50 * given},
        "output_tokens": made,
        "total_tokens": read + made,
    }


def _image_stream(body: Object, kind: str, given: int) -> Reply:
    base = {
        "b64_json": PIXEL,
        "created_at": int(time.time()),
        "size": "1024x1024",
        "quality": "low",
        "background": "opaque",
        "output_format": "png",
    }
    partial, done = f"{kind}.partial_image", f"{kind}.completed"
    events = [
        event({"type": partial, "partial_image_index": index} | base, partial)
        for index in range(int(body.get("partial_images") or 0))
    ]
    usage = _image_usage(body, given, 1)
    return stream([*events, event({"type": done, "usage": usage} | base, done)])


# Audio


def _speak(x: Exchange) -> Reply:
    """Binary audio, streamed in chunks; its bytes hold the text that was asked for."""
    body = required(x, "model", "input", "voice")
    words = [piece.encode() for piece in pieces(body["input"])]
    if body.get("stream_format") == "sse":
        usage = {"input_tokens": len(words), "output_tokens": 10, "total_tokens": len(words) + 10}
        deltas = [event({"type": "speech.audio.delta", "audio": PIXEL}) for _ in words]
        return stream([*deltas, event({"type": "speech.audio.done", "usage": usage})])
    kind = _AUDIO[body.get("response_format") or "mp3"]
    return stream([b"ID3\x04\x00\xff\xfb", *words], kind)


def _transcribe(x: Exchange) -> Reply:
    return _heard(x, "transcribe")


def _translate(x: Exchange) -> Reply:
    return _heard(x, "translate")


def _heard(x: Exchange, task: str) -> Reply:
    """What was said is the file's name and size. Whisper bills seconds, its successors tokens."""
    part = sent_file(x)
    form = with_deployment(x, x.recorded.form)
    if "model" not in form:
        raise Refused(missing(x, "model"))
    check_model(x, form["model"])
    text = x.script.text or echo(f"{part.filename} {len(part.body)} bytes")
    if form.get("stream") == "true":
        return _heard_stream(text)
    style = form.get("response_format") or "json"
    if style in ("text", "srt", "vtt"):
        return Reply(body=_subtitles(text, style), content_type="text/plain; charset=utf-8")
    whisper = str(form["model"]).startswith("whisper")
    usage = {"type": "duration", "seconds": 1} if whisper else _heard_usage(text)
    if style == "json":
        return ok({"text": text, "usage": usage})
    return ok(_verbose(text, task))


def _heard_usage(text: str) -> Object:
    return {
        "type": "tokens",
        "input_tokens": 10,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 10},
        "output_tokens": count(text),
        "total_tokens": 10 + count(text),
    }


def _heard_stream(text: str) -> Reply:
    deltas = [{"type": "transcript.text.delta", "delta": piece} for piece in pieces(text)]
    done = {"type": "transcript.text.done", "text": text, "usage": _heard_usage(text)}
    return stream([event(data) for data in (*deltas, done)])


def _subtitles(text: str, style: str) -> bytes:
    if style == "text":
        return text.encode() + b"\n"
    if style == "srt":
        return f"1\n00:00:00,000 --> 00:00:01,000\n{text}\n\n".encode()
    return f"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{text}\n\n".encode()


def _verbose(text: str, task: str) -> Object:
    segment = {
        "id": 0,
        "seek": 0,
        "start": 0.0,
        "end": 1.0,
        "text": text,
        "tokens": [1, 2, 3],
        "temperature": 0.0,
        "avg_logprob": -0.1,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.01,
    }
    return {
        "task": task,
        "language": "english",
        "duration": 1.0,
        "text": text,
        "segments": [segment],
        "usage": {"type": "duration", "seconds": 1},
    }


# Moderations


def _moderate(x: Exchange) -> Reply:
    """Text that names a category is flagged for it."""
    body = required(x, "input")
    given = body["input"]
    parts = given if isinstance(given, list) else [given]
    if parts and isinstance(parts[0], dict):
        parts = [text_of(parts)]
    return ok(
        {
            "id": x.provider.new_id("modr-", 24),
            "model": body.get("model") or "omni-moderation-latest",
            "results": [_verdict(str(part)) for part in parts],
        }
    )


def _verdict(text: str) -> dict[str, Any]:
    harms = _TEXT_HARMS + _IMAGE_HARMS
    found = {harm: harm in text.lower() for harm in harms}
    return {
        "flagged": any(found.values()),
        "categories": found,
        "category_scores": {harm: 0.98 if found[harm] else 0.0001 for harm in harms},
        "category_applied_input_types": {harm: ["text"] for harm in harms},
    }


ROUTES = [
    ("POST", "/images/generations", _generate),
    ("POST", "/images/edits", _edit),
    ("POST", "/images/variations", _vary),
    ("POST", "/audio/speech", _speak),
    ("POST", "/audio/transcriptions", _transcribe),
    ("POST", "/audio/translations", _translate),
    ("POST", "/moderations", _moderate),
]
