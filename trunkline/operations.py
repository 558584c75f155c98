"""The operations table: every kind of call that the gateway takes, one row each.

Endpoints, their documentation and both lanes are made from it; adding an operation is adding a row.
A row holds the name, the method, the path of OpenAI's API (other APIs: all paths), LiteLLM's
function and a summary; what is not said there is as `Operation` defaults it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from .call import Operation, Wire

ACCOUNT_PROVIDERS = "azure|bedrock|hosted_vllm|mistral|openai|vertex_ai"
"""Providers that LiteLLM's clients name in the path of files and batches."""


def _openai(
    name: str,
    method: str,
    path: str,
    function: str = "",
    summary: str = "",
    *,
    azure: bool = False,
    engines: bool = False,
    accounts: bool = False,
    **row: Any,
) -> Operation:
    """A row of OpenAI's API, under every spelling in which its clients and LiteLLM's ask for it.

    azure: also as Azure spells it, with the model as a deployment in the path.
    engines: also as OpenAI once spelled it, with the model as an engine in the path.
    accounts: also with the provider as the path's first segment.
    """
    paths = [f"/v1{path}", path, f"/openai/v1{path}"]
    if azure:
        paths.append("/openai/deployments/{model:path}" + path)
    if engines:
        paths.append("/engines/{model:path}" + path)
    if accounts:
        paths.append(f"/{{provider:{ACCOUNT_PROVIDERS}}}/v1{path}")
    row = {"body": "json" if method == "POST" else "none", "upstream": path} | row
    return Operation(
        name, Wire.OPENAI, method, tuple(paths), function=function, summary=summary, **row
    )


def _google(
    name: str, method: str, path: str, function: str = "", summary: str = "", **row: Any
) -> Operation:
    """A row of Google's API, with each of its versions in front and without."""
    upstream = path.replace(":path", "")
    row = {"body": "json" if method == "POST" else "none", "upstream": upstream} | row
    return Operation(
        name,
        Wire.GOOGLE,
        method,
        (f"/v1beta{path}", f"/v1{path}", path),
        function=function,
        summary=summary,
        **row,
    )


_stored = partial(_openai, stateful=True, model="optional")
_of_account = partial(_stored, accounts=True)
_anthropic = partial(Operation, wire=Wire.ANTHROPIC, method="POST")

_TEXT = (str,)
_INPUT = (str, list)
_ANY: tuple[type, ...] = ()
_MESSAGES = (("messages", (list,)),)
_PROMPT = (("prompt", _TEXT),)
_CONTENTS = (("contents", (list, dict, str)),)

OPERATIONS: tuple[Operation, ...] = (
    # Text
    _openai("chat", "POST", "/chat/completions", "acompletion", "Answer a conversation",
            azure=True, engines=True, usage="openai", streams=True, required=_MESSAGES),
    _openai("completions", "POST", "/completions", "atext_completion", "Complete a text",
            azure=True, engines=True, usage="openai", streams=True, required=(("prompt", _INPUT),)),
    _openai("embeddings", "POST", "/embeddings", "aembedding", "Embed texts",
            azure=True, engines=True, usage="openai", required=(("input", _INPUT),)),
    _openai("moderations", "POST", "/moderations", "amoderation", "Classify harmful content",
            model="own", required=(("input", _INPUT),)),
    Operation("rerank", Wire.OPENAI, "POST", ("/v1/rerank", "/rerank", "/v2/rerank"),
              function="arerank", usage="openai", summary="Rank documents by relevance to a query",
              required=(("query", _TEXT), ("documents", (list,)))),
    Operation("decisions", Wire.OPENAI, "POST", ("/v1/decisions", "/decisions"),
              function="adecisions", usage="openai",
              summary="Answer closed questions about an input"),
    Operation("systemone", Wire.OPENAI, "POST", ("/v1/systemone", "/systemone"),
              function="asystemone", usage="openai",
              summary="Answer closed questions about a state"),
    Operation("token_counter", Wire.OPENAI, "POST", ("/utils/token_counter",),
              function="acount_tokens", summary="Count the tokens of a prompt"),

    # Responses
    _openai("responses", "POST", "/responses", "aresponses", "Create a response",
            stateful=True, usage="responses", streams=True),
    _openai("responses.input_tokens", "POST", "/responses/input_tokens", "",
            "Count the tokens of a response's input"),
    _openai("responses.compact", "POST", "/responses/compact", "acompact_responses",
            "Compact a conversation", stateful=True, usage="responses"),
    _stored("responses.get", "GET", "/responses/{response_id}", "aget_responses",
            "Get a response", streams=True),
    _stored("responses.delete", "DELETE", "/responses/{response_id}", "adelete_responses",
            "Delete a response"),
    _stored("responses.cancel", "POST", "/responses/{response_id}/cancel", "acancel_responses",
            "Cancel a response in the background"),
    _stored("responses.input_items", "GET", "/responses/{response_id}/input_items",
            "alist_input_items", "List the input of a response"),

    # Anthropic's Messages
    _anthropic("messages", paths=("/v1/messages", "/messages"), upstream="/v1/messages",
               function="anthropic_messages", usage="anthropic", streams=True,
               required=(*_MESSAGES, ("max_tokens", (int,))),
               summary="Answer a conversation in Anthropic's format"),
    _anthropic("messages.count_tokens",
               paths=("/v1/messages/count_tokens", "/messages/count_tokens"),
               upstream="/v1/messages/count_tokens", function="acount_tokens", required=_MESSAGES,
               summary="Count the tokens of a conversation in Anthropic's format"),

    # Google's generateContent and interactions
    _google("generate_content", "POST", "/models/{model:path}:generateContent", "agenerate_content",
            "Generate content in Google's format", model="path", usage="google",
            required=_CONTENTS),
    _google("stream_generate_content", "POST", "/models/{model:path}:streamGenerateContent",
            "agenerate_content_stream", "Stream content in Google's format", model="path",
            usage="google", streams=True, required=_CONTENTS),
    _google("count_tokens", "POST", "/models/{model:path}:countTokens", "acount_tokens",
            "Count tokens in Google's format", model="path"),
    _google("interactions", "POST", "/interactions", "interactions.acreate",
            "Create an interaction", model="optional", stateful=True, streams=True),
    _google("interactions.get", "GET", "/interactions/{interaction_id}", "interactions.aget",
            "Get an interaction", model="optional", stateful=True),
    _google("interactions.delete", "DELETE", "/interactions/{interaction_id}",
            "interactions.adelete", "Delete an interaction", model="optional", stateful=True),
    _google("interactions.cancel", "POST", "/interactions/{interaction_id}/cancel",
            "interactions.acancel", "Cancel an interaction", model="optional", stateful=True),

    # Images, audio, documents, the web
    _openai("images.generate", "POST", "/images/generations", "aimage_generation",
            "Create images", azure=True, usage="media", streams=True, required=_PROMPT),
    _openai("images.edit", "POST", "/images/edits", "aimage_edit", "Edit images",
            azure=True, body="multipart", usage="media", streams=True, required=_PROMPT),
    _openai("images.vary", "POST", "/images/variations", "aimage_variation", "Vary an image",
            body="multipart", usage="media", required=(("image", _ANY),)),
    _openai("speech", "POST", "/audio/speech", "aspeech", "Speak a text",
            azure=True, usage="media", streams=True, answer="any",
            required=(("input", _TEXT), ("voice", (str, dict)))),
    _openai("transcriptions", "POST", "/audio/transcriptions", "atranscription",
            "Write down what is said", azure=True, body="multipart", usage="media", streams=True,
            answer="any", required=(("file", _ANY),)),
    _openai("translations", "POST", "/audio/translations", "",
            "Write down in English what is said", azure=True, body="multipart", usage="media",
            answer="any", required=(("file", _ANY),)),
    _openai("ocr", "POST", "/ocr", "aocr", "Read a document", usage="ocr",
            required=(("document", (dict,)),)),
    Operation("search", Wire.OPENAI, "POST",
              ("/v1/search", "/search", "/v1/search/{search_tool_name}",
               "/search/{search_tool_name}"),
              function="asearch", model="tool", required=(("query", _INPUT),),
              summary="Search the web"),

    # Videos
    _stored("videos.create", "POST", "/videos", "avideo_generation", "Create a video",
            body="multipart", usage="media", required=_PROMPT),
    _stored("videos.list", "GET", "/videos", "avideo_list", "List videos"),
    _stored("videos.get", "GET", "/videos/{video_id}", "avideo_status", "Get a video"),
    _stored("videos.delete", "DELETE", "/videos/{video_id}", "", "Delete a video"),
    _stored("videos.content", "GET", "/videos/{video_id}/content", "avideo_content",
            "Download a video", answer="any"),
    _stored("videos.remix", "POST", "/videos/{video_id}/remix", "avideo_remix", "Remix a video",
            usage="media", required=_PROMPT),
    _stored("videos.edit", "POST", "/videos/edits", "avideo_edit", "Edit a video",
            body="multipart", usage="media", required=_PROMPT),
    _stored("videos.extend", "POST", "/videos/extensions", "avideo_extension", "Extend a video",
            body="multipart", usage="media", required=_PROMPT),
    _stored("videos.characters.create", "POST", "/videos/characters", "avideo_create_character",
            "Create a character", body="multipart"),
    _stored("videos.characters.get", "GET", "/videos/characters/{character_id}",
            "avideo_get_character", "Get a character"),

    # Files, uploads in parts, batches
    _of_account("files.create", "POST", "/files", "acreate_file", "Upload a file",
                body="multipart", required=(("file", _ANY), ("purpose", _TEXT))),
    _of_account("files.list", "GET", "/files", "afile_list", "List files"),
    _of_account("files.get", "GET", "/files/{file_id}", "afile_retrieve", "Get a file"),
    _of_account("files.delete", "DELETE", "/files/{file_id}", "afile_delete", "Delete a file"),
    _of_account("files.content", "GET", "/files/{file_id}/content", "afile_content",
                "Download a file", answer="any"),
    _stored("uploads.create", "POST", "/uploads", "", "Begin an upload in parts"),
    _stored("uploads.part", "POST", "/uploads/{upload_id}/parts", "", "Upload a part",
            body="multipart", required=(("data", _ANY),)),
    _stored("uploads.complete", "POST", "/uploads/{upload_id}/complete", "", "Complete an upload"),
    _stored("uploads.cancel", "POST", "/uploads/{upload_id}/cancel", "", "Cancel an upload"),
    _of_account("batches.create", "POST", "/batches", "acreate_batch", "Create a batch",
                required=(("input_file_id", _TEXT), ("endpoint", _TEXT))),
    _of_account("batches.list", "GET", "/batches", "alist_batches", "List batches"),
    _of_account("batches.get", "GET", "/batches/{batch_id}", "aretrieve_batch", "Get a batch"),
    _of_account("batches.cancel", "POST", "/batches/{batch_id}/cancel", "acancel_batch",
                "Cancel a batch"),

    # Fine-tuning
    _stored("fine_tuning.create", "POST", "/fine_tuning/jobs", "acreate_fine_tuning_job",
            "Create a fine-tuning job", model="own", required=(("training_file", _TEXT),)),
    _stored("fine_tuning.list", "GET", "/fine_tuning/jobs", "alist_fine_tuning_jobs",
            "List fine-tuning jobs"),
    _stored("fine_tuning.get", "GET", "/fine_tuning/jobs/{fine_tuning_job_id}",
            "aretrieve_fine_tuning_job", "Get a fine-tuning job"),
    _stored("fine_tuning.cancel", "POST", "/fine_tuning/jobs/{fine_tuning_job_id}/cancel",
            "acancel_fine_tuning_job", "Cancel a fine-tuning job"),
    _stored("fine_tuning.pause", "POST", "/fine_tuning/jobs/{fine_tuning_job_id}/pause", "",
            "Pause a fine-tuning job"),
    _stored("fine_tuning.resume", "POST", "/fine_tuning/jobs/{fine_tuning_job_id}/resume", "",
            "Resume a fine-tuning job"),
    _stored("fine_tuning.events", "GET", "/fine_tuning/jobs/{fine_tuning_job_id}/events", "",
            "List the events of a fine-tuning job"),
    _stored("fine_tuning.checkpoints", "GET", "/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints",
            "", "List the checkpoints of a fine-tuning job"),

    # Vector stores
    _stored("vector_stores.create", "POST", "/vector_stores", "vector_stores.acreate",
            "Create a vector store"),
    _stored("vector_stores.list", "GET", "/vector_stores", "", "List vector stores"),
    _stored("vector_stores.get", "GET", "/vector_stores/{vector_store_id}", "",
            "Get a vector store"),
    _stored("vector_stores.update", "POST", "/vector_stores/{vector_store_id}", "",
            "Change a vector store"),
    _stored("vector_stores.delete", "DELETE", "/vector_stores/{vector_store_id}", "",
            "Delete a vector store"),
    _stored("vector_stores.search", "POST", "/vector_stores/{vector_store_id}/search",
            "vector_stores.asearch", "Search a vector store", required=(("query", _INPUT),)),
    _stored("vector_stores.files.create", "POST", "/vector_stores/{vector_store_id}/files",
            "avector_store_file_create", "Add a file to a vector store",
            required=(("file_id", _TEXT),)),
    _stored("vector_stores.files.list", "GET", "/vector_stores/{vector_store_id}/files",
            "avector_store_file_list", "List the files of a vector store"),
    _stored("vector_stores.files.get", "GET", "/vector_stores/{vector_store_id}/files/{file_id}",
            "avector_store_file_retrieve", "Get a file of a vector store"),
    _stored("vector_stores.files.update", "POST",
            "/vector_stores/{vector_store_id}/files/{file_id}", "avector_store_file_update",
            "Change a file of a vector store"),
    _stored("vector_stores.files.delete", "DELETE",
            "/vector_stores/{vector_store_id}/files/{file_id}", "avector_store_file_delete",
            "Take a file out of a vector store"),
    _stored("vector_stores.files.content", "GET",
            "/vector_stores/{vector_store_id}/files/{file_id}/content",
            "avector_store_file_content", "Get what a vector store read in a file"),
    _stored("vector_stores.file_batches.create", "POST",
            "/vector_stores/{vector_store_id}/file_batches", "", "Add files to a vector store"),
    _stored("vector_stores.file_batches.get", "GET",
            "/vector_stores/{vector_store_id}/file_batches/{batch_id}", "",
            "Get a batch of files of a vector store"),
    _stored("vector_stores.file_batches.cancel", "POST",
            "/vector_stores/{vector_store_id}/file_batches/{batch_id}/cancel", "",
            "Cancel a batch of files of a vector store"),
    _stored("vector_stores.file_batches.files", "GET",
            "/vector_stores/{vector_store_id}/file_batches/{batch_id}/files", "",
            "List a batch of files of a vector store"),

    # Assistants, threads, messages, runs
    _stored("assistants.create", "POST", "/assistants", "acreate_assistants",
            "Create an assistant"),
    _stored("assistants.list", "GET", "/assistants", "aget_assistants", "List assistants"),
    _stored("assistants.get", "GET", "/assistants/{assistant_id}", "", "Get an assistant"),
    _stored("assistants.update", "POST", "/assistants/{assistant_id}", "", "Change an assistant"),
    _stored("assistants.delete", "DELETE", "/assistants/{assistant_id}", "adelete_assistant",
            "Delete an assistant"),
    _stored("threads.create", "POST", "/threads", "acreate_thread", "Create a thread"),
    _stored("threads.get", "GET", "/threads/{thread_id}", "aget_thread", "Get a thread"),
    _stored("threads.update", "POST", "/threads/{thread_id}", "", "Change a thread"),
    _stored("threads.delete", "DELETE", "/threads/{thread_id}", "", "Delete a thread"),
    _stored("threads.create_and_run", "POST", "/threads/runs", "",
            "Create a thread and run an assistant on it", usage="runs", streams=True),
    _stored("threads.messages.create", "POST", "/threads/{thread_id}/messages", "a_add_message",
            "Add a message to a thread"),
    _stored("threads.messages.list", "GET", "/threads/{thread_id}/messages", "aget_messages",
            "List the messages of a thread"),
    _stored("threads.messages.get", "GET", "/threads/{thread_id}/messages/{message_id}", "",
            "Get a message of a thread"),
    _stored("threads.messages.update", "POST", "/threads/{thread_id}/messages/{message_id}", "",
            "Change a message of a thread"),
    _stored("threads.messages.delete", "DELETE", "/threads/{thread_id}/messages/{message_id}", "",
            "Delete a message of a thread"),
    _stored("threads.runs.create", "POST", "/threads/{thread_id}/runs", "arun_thread",
            "Run an assistant on a thread", usage="runs", streams=True),
    _stored("threads.runs.list", "GET", "/threads/{thread_id}/runs", "",
            "List the runs of a thread"),
    _stored("threads.runs.get", "GET", "/threads/{thread_id}/runs/{run_id}", "", "Get a run"),
    _stored("threads.runs.update", "POST", "/threads/{thread_id}/runs/{run_id}", "",
            "Change a run"),
    _stored("threads.runs.cancel", "POST", "/threads/{thread_id}/runs/{run_id}/cancel", "",
            "Cancel a run"),
    _stored("threads.runs.submit_tool_outputs", "POST",
            "/threads/{thread_id}/runs/{run_id}/submit_tool_outputs", "",
            "Hand a run what its tools gave", usage="runs", streams=True),
    _stored("threads.runs.steps.list", "GET", "/threads/{thread_id}/runs/{run_id}/steps", "",
            "List the steps of a run"),
    _stored("threads.runs.steps.get", "GET",
            "/threads/{thread_id}/runs/{run_id}/steps/{step_id}", "", "Get a step of a run"),

    # Containers
    _stored("containers.create", "POST", "/containers", "acreate_container",
            "Create a container"),
    _stored("containers.list", "GET", "/containers", "alist_containers", "List containers"),
    _stored("containers.get", "GET", "/containers/{container_id}", "aretrieve_container",
            "Get a container"),
    _stored("containers.delete", "DELETE", "/containers/{container_id}", "adelete_container",
            "Delete a container"),
    _stored("containers.files.create", "POST", "/containers/{container_id}/files",
            "aupload_container_file", "Put a file into a container", body="multipart"),
    _stored("containers.files.list", "GET", "/containers/{container_id}/files",
            "alist_container_files", "List the files of a container"),
    _stored("containers.files.get", "GET", "/containers/{container_id}/files/{file_id}",
            "containers.aretrieve_container_file", "Get a file of a container"),
    _stored("containers.files.delete", "DELETE", "/containers/{container_id}/files/{file_id}",
            "containers.adelete_container_file", "Delete a file of a container"),
    _stored("containers.files.content", "GET",
            "/containers/{container_id}/files/{file_id}/content",
            "containers.aretrieve_container_file_content", "Download a file of a container",
            answer="any"),
)  # fmt: skip
