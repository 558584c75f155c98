"""The stacks, synthesised and read: `make synth`, in an environment of its own (.venv-cdk)."""
