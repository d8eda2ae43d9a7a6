"""The command line: `trainledger --help`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from services import VERSION
from services.runtime.handover import EX_CONFIG, EX_UNAVAILABLE, ensure_directories
from services.runtime.settings import SettingRefused, Settings, load, without_secrets

# Everything else is imported by the command that needs it: the parent of all processes stays small.


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits: 0, 1 where it failed, 2 for wrong usage, 78 for a setting that cannot be used."""
    parsed = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.run
    try:
        code = run(parsed)
    except SettingRefused as refused:
        print(refused, file=sys.stderr)
        code = EX_CONFIG
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


_MAINS = {
    "edge": ("services.edge.main", "run"),
    "training": ("services.training.main", "run"),
    "deployment": ("services.deployment.main", "run"),
    "deid": ("services.deid.main", "run"),
    "projector": ("services.projector.main", "run"),
    "datasets": ("services.datasets.main", "run"),
    "workers": ("services.workers", "run"),
    "prepare": ("services.preparing", "prepare"),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trainledger",
        description="The ledger and control plane of LLM training.",
        epilog="Settings come from the environment and one YAML file: `trainledger settings` lists them.",
    )
    parser.add_argument("--version", action="version", version=f"TrainLedger {VERSION}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], int], help_: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help_, description=help_[0].upper() + help_[1:] + ".")
        command.set_defaults(run=run)
        _add_common(command)
        return command

    serve = add("serve", _serve, "start everything on this machine, NATS too unless NATS_URL names one")
    edge = add("edge", _process, "serve HTTP only")
    for command in (serve, edge):
        command.add_argument("--host", help="address to serve on (TRAINLEDGER_HOST)")
        command.add_argument("--port", help="port to serve on (TRAINLEDGER_PORT)")
    for command in (
        edge,
        add("training", _process, "run trainings of this machine only"),
        add("deployment", _process, "serve models on this machine only"),
        add("deid", _process, "de-identify datasets of this storage only"),
        add("projector", _process, "keep the read models only"),
        add("datasets", _process, "check uploaded files, give them to training nodes, and remove what is due only"),
        add("workers", _process, "all of these but the edge in one process"),
        add("prepare", _process, "create the streams that NATS lacks, as its administrator, and exit"),
    ):
        command.set_defaults(process=command.prog.split()[-1])
        command.add_argument("--supervised", action="store_true", help=argparse.SUPPRESS)

    stop = add("stop", _stop, "stop what `serve` started for this data directory; trainings and models go on")
    stop.add_argument("--all", action="store_true", help="end trainings and served models too, and wait for that")
    settings = add("settings", _settings, "show the settings in force, without secrets")
    settings.add_argument("--markdown", action="store_true", help="all settings, their defaults and meaning")
    rebuild = add("rebuild", _administration, "make the read models anew from the ledger; telemetry stays")
    rebuild.set_defaults(action="rebuild")

    token = add("token", _administration, "access tokens of the HTTP API").add_subparsers(
        metavar="ACTION", required=True
    )
    token_add = token.add_parser("add", help="make a token and print it, this once")
    token_add.add_argument("name", metavar="NAME", help="the token's owner, on record for all it does")
    _add_role(token_add)
    token_add.add_argument(
        "--may", choices=("reveal",), help="what no role includes: to be told the originals of pseudonyms"
    )
    token.add_parser("list", help="list the tokens, never their text")
    token.add_parser("revoke", help="end a token").add_argument("id", metavar="ID")

    user = add("nats-user", _administration, "users of the embedded NATS server").add_subparsers(
        metavar="ACTION", required=True
    )
    user_add = user.add_parser("add", help="make a user, or change its role, and print where its credentials lie")
    user_add.add_argument("name", metavar="NAME", help="the user's name, on record for all it does")
    _add_role(user_add)
    user.add_parser("list", help="list the users")
    user.add_parser("remove", help="end a user's access").add_argument("name", metavar="NAME")

    person = add("person", _administration, "people, whose names are kept apart from the ledger").add_subparsers(
        metavar="ACTION", required=True
    )
    erase = person.add_parser("erase", help="forget a person's name for good; what the person did stays on record")
    erase.add_argument("who", metavar="NAME", help="the person's name, or id")

    logs = add("logs", _administration, "logs of runs").add_subparsers(metavar="ACTION", required=True)
    refill = logs.add_parser(
        "refill", help="bring back lost lines and metrics from the kept raw output of an ended run"
    )
    for action in (logs.add_parser("show", help="print the whole log of a run"), refill):
        action.add_argument("run_id", metavar="RUN", help="the run's id")
    for prefix, group in (("token", token), ("nats_user", user), ("person", person), ("logs", logs)):
        for name, action in group.choices.items():
            action.set_defaults(action=f"{prefix}_{name}")
            _add_common(action, default=argparse.SUPPRESS)  # else it would undo what was said before the action
    return parser


def _add_role(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--role", choices=("reader", "operator", "admin"), default="operator", help="%(default)s where none is said"
    )


def _add_common(command: argparse.ArgumentParser, default: str | None = None) -> None:
    for option, kind, what, help_ in (
        ("--config", Path, "FILE", "YAML file of settings (TRAINLEDGER_CONFIG)"),
        ("--data-dir", str, "DIR", "where everything is kept (TRAINLEDGER_DATA_DIR)"),
    ):
        command.add_argument(option, type=kind, metavar=what, help=help_, default=default)


def _load(parsed: argparse.Namespace) -> Settings:
    from services.runtime.settings.unknown import unknown_settings

    for sentence in unknown_settings(os.environ):
        print(sentence, file=sys.stderr)
    given = {name: getattr(parsed, name, None) for name in ("host", "port", "data_dir")}
    return load(config=parsed.config, options=given)


def _serve(parsed: argparse.Namespace) -> int:
    from services.serve.parent import serve

    return serve(_load(parsed))


def _process(parsed: argparse.Namespace) -> int:
    """One process of several: by hand with the settings of the command line, or as a child of `serve`."""
    from services.runtime import process

    _leave_out_websockets()
    module, function = _MAINS[parsed.process]
    run: process.Main = getattr(importlib.import_module(module), function)
    if parsed.supervised:
        return process.serve_supervised(run)
    settings = _load(parsed)
    ensure_directories(settings)

    async def run_prepared(settings: Settings) -> None:
        from services.preparing import require_streams

        await require_streams(settings)
        await run(settings)

    if parsed.process != "prepare":
        return process.serve(run_prepared, settings)
    if (code := process.serve(run, settings)) == 0:
        server = "the embedded NATS" if settings.nats_url is None else without_secrets(settings.nats_url)
        print(f"The streams of TrainLedger are there at {server}.")
    return code


def _leave_out_websockets() -> None:
    """nats-py loads aiohttp where it finds it, only to speak NATS over WebSocket, which NATS_URL may not name.

    That costs each process 12 MB and a third of its start.
    """
    missing = object()
    before = sys.modules.get("aiohttp", missing)
    sys.modules["aiohttp"] = None  # type: ignore[assignment]  # an import of it fails
    try:
        importlib.import_module("nats.aio.transport")
    finally:
        if before is missing:
            del sys.modules["aiohttp"]
        else:
            sys.modules["aiohttp"] = before  # type: ignore[assignment]


def _stop(parsed: argparse.Namespace) -> int:
    settings = _load(parsed)
    if parsed.all and (code := _administer("end_all", settings, parsed)) != 0:
        return code
    from services.serve.data_dir import stop

    return stop(settings)


def _settings(parsed: argparse.Namespace) -> int:
    from services.runtime import settings

    if parsed.markdown:
        print(settings.markdown())
        return 0
    loaded = _load(parsed)
    for field, name in settings.ENVIRONMENT_NAMES.items():
        print(f"{name}={settings.shown(getattr(loaded, field))}")
    return 0


def _administration(parsed: argparse.Namespace) -> int:
    return _administer(parsed.action, _load(parsed), parsed)


def _administer(action: str, settings: Settings, parsed: argparse.Namespace) -> int:
    import asyncio

    _leave_out_websockets()
    from contracts.problems import Refused
    from events.log import LogUnavailable
    from services import administration
    from services.runtime.wiring import NotReachable

    try:
        return asyncio.run(administration.ACTIONS[action](settings, parsed))
    except Refused as refused:
        print(refused.text("en"), file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"{error}.".capitalize(), file=sys.stderr)
        return 2
    except (LogUnavailable, NotReachable) as missing:
        print(missing, file=sys.stderr)
        return EX_UNAVAILABLE


if __name__ == "__main__":
    main()
