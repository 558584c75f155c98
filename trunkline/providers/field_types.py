"""The JSON types of requests' fields, as far as LiteLLM stumbles over others.

A line is a field's path and the types that it may be of: `[]` stands for each item of an array,
`!` for a field that must be there, `file` for one that only a form's file can be. `null` is as good
as no field, but not as an item. What stands in no line may be anything.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..dataclass import dataclass

KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "file": (),
}


@dataclass(frozen=True, slots=True)
class FieldType:
    """What a field may be.

    path: names, and "[]" for the items of an array. kinds: keys of `KINDS`.
    """

    path: tuple[str, ...]
    kinds: tuple[str, ...]
    required: bool = False


_TOOLS = """
tools: array
tools[]: object
tools[].type!: string
"""

_FUNCTIONS = """
tools[].function: object
tools[].function.name!: string
tools[].function.parameters: object
tool_choice: string object
tool_choice.function: object
functions: array
functions[]: object
"""

_MESSAGES = """
messages: array
messages[]: object
messages[].content: string array
messages[].content[]: object
messages[].content[].type!: string
messages[].content[].text: string
messages[].tool_calls: array
messages[].tool_calls[]: object
messages[].tool_calls[].function: object
messages[].tool_calls[].function.name: string
messages[].tool_calls[].function.arguments: string
"""

_CHAT = """
extra_body: object
metadata: object
max_tokens: integer
max_completion_tokens: integer
n: integer
seed: integer
temperature: number
top_p: number
response_format: object
response_format.type!: string
response_format.json_schema: object
response_format.json_schema.schema!: object
stop: string array
stop[]: string
stream_options: object
user: string
"""

_SYSTEM = """
system: string array
system[]: object
system[].type!: string
system[].text: string
"""

_ANTHROPIC = """
max_tokens: integer
metadata: object
stop_sequences: array
stop_sequences[]: string
temperature: number
thinking: object
tool_choice: object
tool_choice.type!: string
top_p: number
"""

_CONTENTS = """
contents: array object
contents[]: object
contents[].parts: array
contents[].parts[]: object
systemInstruction: object
systemInstruction.parts: array
systemInstruction.parts[]: object
system_instruction: object
system_instruction.parts: array
system_instruction.parts[]: object
"""

_GENERATE = """
generationConfig: object
generationConfig.stopSequences: array
generationConfig.stopSequences[]: string
generationConfig.maxOutputTokens: integer
generationConfig.temperature: number
generationConfig.topP: number
config: object
tools: array
tools[]: object
tools[].functionDeclarations: array
tools[].functionDeclarations[]: object
toolConfig: object
toolConfig.functionCallingConfig: object
tool_config: object
tool_config.functionCallingConfig: object
"""

_RESPONSES = """
input: string array
input[]: object
input[].content: string array
input[].content[]: object
instructions: string
max_output_tokens: integer
metadata: object
previous_response_id: string
reasoning: object
temperature: number
text: object
text.format: object
text_format: object
text_format.type!: string
text_format.json_schema!: object
top_p: number
truncation: string
user: string
"""

_FILE = "file: file"
_METADATA = "metadata: object"


def _parsed(text: str) -> tuple[FieldType, ...]:
    rows = (line.split(":") for line in text.splitlines() if line)
    return tuple(
        FieldType(
            tuple(path.removesuffix("!").replace("[]", ".[]").split(".")),
            tuple(kinds.split()),
            path.endswith("!"),
        )
        for path, kinds in rows
    )


def _under(name: str, text: str) -> str:
    return "\n".join(f"{name}.{line}" for line in text.split("\n") if line)


FIELD_TYPES: Mapping[str, tuple[FieldType, ...]] = {
    operation: _parsed("\n".join(texts))
    for operation, texts in {
        "chat": (_MESSAGES, _TOOLS, _FUNCTIONS, _CHAT),
        "completions": (_CHAT, "prompt: string array\nprompt[]: string"),
        "embeddings": (
            "input: string array\ninput[]: string integer array\nencoding_format: string",
            "dimensions: integer",
        ),
        "messages": (_MESSAGES, _SYSTEM, _TOOLS, _ANTHROPIC),
        "messages.count_tokens": (_MESSAGES, _SYSTEM, _TOOLS),
        "token_counter": (_MESSAGES, _SYSTEM, _TOOLS),
        "generate_content": (_CONTENTS, _GENERATE),
        "stream_generate_content": (_CONTENTS, _GENERATE),
        "count_tokens": (
            _CONTENTS,
            "generateContentRequest: object",
            _under("generateContentRequest", _CONTENTS),
        ),
        "responses": (_RESPONSES, _TOOLS),
        "responses.compact": (_RESPONSES,),
        "interactions": (_TOOLS,),
        "rerank": ("documents[]: string object\ntop_n: integer",),
        "search": ("query[]: string\ncountry: string\nmax_results: integer",),
        "decisions": ("questions: array\nquestions[]: object",),
        "images.generate": ("size: string\nquality: string\nstyle: string\nn: integer",),
        "images.edit": ("image: file\nmask: file",),
        "images.vary": ("image: file",),
        "transcriptions": (_FILE,),
        "videos.create": ("input_reference: file",),
        "videos.edit": ("video_id: string",),
        "videos.extend": ("video_id: string",),
        "videos.characters.create": ("video: file\nname: string",),
        "files.create": (_FILE,),
        "containers.files.create": (_FILE,),
        "batches.create": (_METADATA,),
        "threads.messages.create": ("attachments: array\nattachments[]: object",),
        "fine_tuning.create": (
            _METADATA,
            "hyperparameters: object\nhyperparameters.n_epochs: string integer",
            "hyperparameters.batch_size: string integer",
            "hyperparameters.learning_rate_multiplier: string number",
        ),
        "vector_stores.create": (_METADATA, "expires_after: object\nfile_ids: array"),
    }.items()
}
