"""What providers that speak like OpenAI offer beside its API: OCR, rerank and search.

Source: the API references of Mistral (OCR), Jina AI (rerank) and Tavily (search).
"""

from __future__ import annotations

from ..reply import Exchange, Reply, ok
from ..script import count, echo, text_of
from .content import required


def _ocr(x: Exchange) -> Reply:
    """One page, whose text is the document's address."""
    body = required(x, "model", "document")
    document = body["document"]
    address = document.get("document_url") or document.get("image_url") or document.get("file_id")
    if isinstance(address, dict):
        address = address.get("url")
    page = {
        "index": 0,
        "markdown": echo(str(address)),
        "images": [],
        "dimensions": {"dpi": 200, "height": 2200, "width": 1700},
    }
    return ok(
        {
            "pages": [page],
            "model": body["model"],
            "document_annotation": None,
            "usage_info": {"pages_processed": 1, "doc_size_bytes": len(str(address))},
        }
    )


def _rerank(x: Exchange) -> Reply:
    """Documents by the share of the query's words that they hold."""
    body = required(x, "model", "query", "documents")
    words = body["query"].lower().split()
    texts = [text_of(one) for one in body["documents"]]
    scores = [sum(word in text.lower() for word in words) / len(words) for text in texts]
    order = sorted(range(len(texts)), key=lambda index: (-scores[index], index))
    results = [
        {"index": index, "relevance_score": scores[index], "document": {"text": texts[index]}}
        for index in order[: body.get("top_n") or len(texts)]
    ]
    tokens = sum(map(count, (body["query"], *texts)))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return ok({"model": body["model"], "object": "list", "usage": usage, "results": results})


def _search(x: Exchange) -> Reply:
    """One result, whose text is the query."""
    query = required(x, "query")["query"]
    result = {
        "url": "https://example.com/found",
        "title": "Found",
        "content": echo(query),
        "score": 0.9,
        "raw_content": None,
    }
    return ok(
        {
            "query": query,
            "answer": None,
            "images": [],
            "results": [result],
            "response_time": 0.01,
            "request_id": x.provider.new_id("", 36),
        }
    )


ROUTES = [
    ("POST", "/ocr", _ocr),
    ("POST", "/rerank", _rerank),
    ("POST", "/search", _search),
]
