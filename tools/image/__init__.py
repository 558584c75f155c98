"""Builds and runs the gateway's image where there is no Docker.

    python -m tools.image amd64 arm64

buildah builds, each time anew, on a base that debootstrap makes once for each platform. All is kept
in `build/images`.
"""
