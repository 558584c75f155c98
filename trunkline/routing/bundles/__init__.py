"""A trained routing model as it is deployed: a folder, or one `.tar` of it.

    manifest.json        what it is, what it was made of, and the SHA-256 of every other file
    weights.safetensors  its numbers
    manifest.json.sig    an Ed25519 signature of manifest.json, which through it covers every file
    …                    what a strategy needs beside them: encoder.onnx, tokenizer.json

Nothing in a bundle is ever run or unpickled.
"""
