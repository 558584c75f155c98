"""The command line: `trunkline serve`, `config check`, `db upgrade`, `bundle …`, `rollout …`."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from . import __version__
from .configuration import Configuration
from .errors import BundleError, ConfigError
from .live.bundles import share
from .settings import Settings
from .settings.folders import records_folder, unwritable

T = TypeVar("T")

USAGE = 2
"""Exit code for a command or configuration that can't be carried out."""
INTERRUPTED = 130
"""Exit code, as shells give it, for a command that Ctrl-C ended before it served."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a command and exits: 0 done, 2 the command or the configuration is wrong."""
    options = _parser().parse_args(arguments)
    try:
        sys.exit(options.command(options))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def serve(options: argparse.Namespace) -> int:
    """Serves until SIGTERM or SIGINT; then drains and ends with 0."""
    configuration = Configuration(
        options.config, os.environ, refuses=partial(_open_to_all, options.host)
    )
    shared = share()
    read = _read(lambda: configuration.begin(Path(shared.name)))
    settings = read.settings
    if configuration.problem:
        _refuse(f"{configuration.problem}; the last good copy is served")
    os.environ.update(read.exported)
    _check_folders(settings, keep=True)
    _check_bundle(settings)
    _bring_up_to_date(settings)
    _check_records(settings)
    problem = _occupied(options.host, options.port)
    if problem:
        return _refuse(f"cannot listen on {options.host}:{options.port}: {problem}")

    from .server import run  # noqa: PLC0415 - the server's modules load only where they are used

    watched = configuration.is_watched(settings)
    run(
        settings,
        host=options.host,
        port=options.port,
        workers=options.workers,
        configuration=configuration if watched else None,
        shared=shared,
    )
    return 0


def _open_to_all(host: str, settings: Settings) -> str | None:
    """Why a configuration can't be served on an address; None where it can."""
    general = settings.general_settings
    if general.master_key or general.allow_unauthenticated or _is_loopback(host):
        return None
    return (
        f"no general_settings.master_key is configured, so anybody who reaches"
        f" {host} could use every provider key: set one, serve on 127.0.0.1,"
        f" or set general_settings.allow_unauthenticated: true"
    )


def check(options: argparse.Namespace) -> int:
    """Says what `serve` would say of a configuration, without serving it."""
    settings = _load(options.file)
    _check_folders(settings, keep=False)
    _check_bundle(settings)
    for warning in settings.warnings:
        print(f"warning: {warning}")
    groups = {entry.model_name for entry in settings.model_list}
    print(
        f"{options.file}: {len(settings.model_list)} deployments in {len(groups)} model groups,"
        f" {len(settings.warnings)} warnings"
    )
    return 0


def upgrade(options: argparse.Namespace) -> int:
    """Brings the tables of a configuration's database to what this program knows."""
    settings = _load(options.config)
    done = _bring_up_to_date(settings)
    print("the database is up to date now" if done else "the database was up to date")
    return 0


def _bring_up_to_date(settings: Settings) -> bool:
    """Ends the program where the database can't be served from; whether there was a change."""
    if not settings.general_settings.charges:
        return False

    from .bookkeeping import bring_up_to_date  # noqa: PLC0415 - only where there is a database
    from .store.database import StoreError  # noqa: PLC0415

    try:
        return bring_up_to_date(settings)
    except StoreError as error:
        raise SystemExit(_refuse(f"the database can't be used: {error}")) from None


def _load(place: str) -> Settings:
    return _read(Configuration(place, os.environ).read)


def _read(read: Callable[[], T]) -> T:
    """Reads a configuration; ends the program where it can't be served."""
    try:
        return read()
    except ConfigError as error:
        print(error, file=sys.stderr)
    except BundleError as error:
        for reason in str(error).splitlines():
            _refuse(reason)
    raise SystemExit(USAGE) from None


def _check_folders(settings: Settings, *, keep: bool) -> None:
    """Ends the program where what is to be written can't be. keep: see `unwritable`."""
    problems = list(unwritable(settings, keep=keep))
    for problem in problems:
        _refuse(problem)
    if problems:
        raise SystemExit(USAGE)


def _check_records(settings: Settings) -> None:
    """Ends the program where routing records can't be kept in the file that they are to be in."""
    folder = records_folder(settings)
    if folder is None:
        return

    from .store.routing_records import File, StoreError  # noqa: PLC0415 - with sqlite3

    try:
        File(folder)
    except StoreError as error:
        raise SystemExit(_refuse(f"the routing records can't be kept: {error}")) from None


def _check_bundle(settings: Settings) -> None:
    """Ends the program where the learned strategy's bundle can't be served."""
    if settings.router_settings.learned is None:
        return

    from .learning import try_bundle  # noqa: PLC0415 - only where a bundle has to be loaded

    try:
        asyncio.run(try_bundle(settings))
    except BundleError as error:
        strategy = settings.router_settings.routing_strategy
        raise SystemExit(_refuse(f"router_settings.routing_strategy {strategy}: {error}")) from None


def _refuse(reason: str) -> int:
    print(f"trunkline: {reason}", file=sys.stderr)
    return USAGE


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _occupied(host: str, port: int) -> str | None:
    """Why a port can't be listened on; None when it can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except UnicodeError:
        return "not a host name"
    except OSError as error:
        return error.strerror or str(error)
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trunkline", description="An AI gateway.")
    parser.add_argument("--version", action="version", version=f"trunkline {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serving = commands.add_parser("serve", help="serve a configuration")
    serving.add_argument("--config", type=_place, required=True, metavar="FILE", help=_PLACE)
    serving.add_argument("--host", default="127.0.0.1", help="address (127.0.0.1)")
    serving.add_argument("--port", type=_port, default=4000, help="port (4000)")
    serving.add_argument("--workers", type=_workers, default=1, help="processes (1)")
    serving.set_defaults(command=serve)

    config = commands.add_parser("config", help="work with configurations")
    config_commands = config.add_subparsers(required=True, metavar="COMMAND")
    checking = config_commands.add_parser("check", help="check a configuration")
    checking.add_argument("file", type=_place, metavar="FILE", help=_PLACE)
    checking.set_defaults(command=check)
    database = commands.add_parser("db", help="work with the database")
    database_commands = database.add_subparsers(required=True, metavar="COMMAND")
    upgrading = database_commands.add_parser("upgrade", help="bring its tables up to date")
    upgrading.add_argument("--config", type=_place, required=True, metavar="FILE", help=_PLACE)
    upgrading.set_defaults(command=upgrade)
    _add_bundle(commands)
    _add_rollout(commands)
    return parser


def _add_bundle(commands: Any) -> None:
    bundle = commands.add_parser("bundle", help="sign, verify and inspect bundles")
    bundle_commands = bundle.add_subparsers(required=True, metavar="COMMAND")
    making = bundle_commands.add_parser("keygen", help="make a key pair that signs bundles")
    making.add_argument("name", type=Path, metavar="NAME", help="writes NAME.pem and NAME.pub.pem")
    making.set_defaults(command=partial(_bundle, "keygen"))
    signing = bundle_commands.add_parser("sign", help="sign a bundle")
    signing.add_argument("bundle", type=Path, metavar="BUNDLE")
    signing.add_argument("--key", type=Path, required=True, metavar="FILE", help="the private key")
    signing.set_defaults(command=partial(_bundle, "sign"))
    verifying = bundle_commands.add_parser("verify", help="check a bundle and its signature")
    verifying.add_argument("bundle", type=Path, metavar="BUNDLE")
    verifying.add_argument("--key", action="append", default=[], metavar="KEY", help="a public key")
    verifying.set_defaults(command=partial(_bundle, "verify"))
    inspecting = bundle_commands.add_parser("inspect", help="say what a bundle holds")
    inspecting.add_argument("bundle", type=Path, metavar="BUNDLE")
    inspecting.set_defaults(command=partial(_bundle, "inspect"))


def _bundle(command: str, options: argparse.Namespace) -> int:
    from .routing.bundles import commands  # noqa: PLC0415 - numpy loads only for these commands

    try:
        print(getattr(commands, command)(options))
    except BundleError as error:
        return _refuse(str(error))
    return 0


def _add_rollout(commands: Any) -> None:
    # numpy loads for these commands only, and all parsers are made for each.
    from .rollout.command_line import add  # noqa: PLC0415

    add(commands, _rollout)


def _rollout(command: str, options: argparse.Namespace) -> int:
    from .rollout.commands import run  # noqa: PLC0415
    from .rollout.outcomes import RolloutError  # noqa: PLC0415

    try:
        lines, good = run(command, options)
    except RolloutError as error:
        return _refuse(str(error))
    print("\n".join(lines))
    return 0 if good else USAGE


_PLACE = "a file, s3://bucket/key, gs://bucket/object, or s3://bucket/…/active.json"


def _place(text: str) -> str:
    """A path as Python writes it, or a URL as it is."""
    return text if "://" in text else str(Path(text))


def _port(text: str) -> int:
    return _number(text, 65_535, "a port is a number")


def _workers(text: str) -> int:
    return _number(text, 256, "workers are a number")


def _number(text: str, most: int, what: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
        raise argparse.ArgumentTypeError(f"{what} from 1 to {most}")
    return int(text)
