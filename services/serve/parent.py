"""The parent's life: lock, nats-server, children, restarts, and an end in the right order."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from services import VERSION
from services.runtime import handover
from services.runtime.addresses import bound, in_url, is_any, is_loopback, reachable
from services.runtime.nats.embedded import EmbeddedNats
from services.runtime.nats.users import ADMIN, SERVICE
from services.runtime.settings import SettingRefused, Settings, without_secrets
from services.runtime.told_command import no_token_yet, told_command
from services.serve.child import Child
from services.serve.data_dir import Lock, end_left_behind, prepared, running_deployments, running_trainings
from services.serve.readiness import is_ready

_HOPELESS = 5  # crashes in a row before anything was served


def serve(settings: Settings) -> int:
    """Serves until a signal, and returns the exit code. Raises SettingRefused before anything was started."""
    if not settings.data_dir.exists():  # nor is it made by a start that is refused
        _require_free_port(settings)
    if settings.nats_url is None and not is_loopback(settings.host) and EmbeddedNats(settings.data_dir).url is None:
        raise no_token_yet(settings)
    handover.ensure_directories(settings)
    lock = Lock(settings.data_dir)
    lock.take()
    left = end_left_behind(settings)
    if left:
        _say(f"Ended what an earlier start had left behind: {', '.join(map(str, left))}")
    _require_free_port(settings)
    return Parent(prepared(settings)).run()


class Parent:
    """Single-threaded: it sleeps in `select` until a signal, a child's end among them, or a deadline wakes it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.nats = None if settings.nats_url else EmbeddedNats(settings.data_dir, settings.nats_port, settings.port)
        self._edge = Child("edge", settings.data_dir)
        self._workers = Child("workers", settings.data_dir)
        self._stops = 0
        self._stopped_at = 0.0
        self._impatient = False
        self._nats_failures = 0
        self._nats_restart_at = 0.0
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._poll = select.poll()

    def run(self) -> int:
        self._catch_signals()
        try:
            if self._start():
                self._watch()
        finally:
            self._stop()
        return 0

    def _start(self) -> bool:
        """False: a signal asked to stop before everything was started. Raises SettingRefused."""
        for child in (self._edge, self._workers):
            child.start()  # they import while nats-server starts, and wait for their settings
        given = self.settings
        if self.nats is not None:
            self.nats.start()
            if not self._until(self._nats_answers):
                return False
            self.settings = self._with_embedded_nats(self.nats)
        if not self._prepare(given):
            return False
        for child in (self._edge, self._workers):
            child.release(handover.encode(self.settings))
        return True

    def _prepare(self, given: Settings) -> bool:
        """Creates the streams, as the administrator, in a process that ends before any service begins.

        The settings are those of the user: they tell whether the server, and so its users, are ours.
        """
        preparing = Child("prepare", given.data_dir)
        preparing.start()
        preparing.release(handover.encode(given))
        if not self._until(lambda: preparing.exit_code() is not None):
            preparing.kill()
            return False
        if preparing.exit_code() != 0:
            raise SettingRefused(preparing.last_words() or "The streams could not be created.")
        return True

    def _watch(self) -> None:
        """Until a signal. Raises SettingRefused."""
        announced = False
        while not self._stops:
            pause = None if announced else 0.05
            for child in (self._edge, self._workers):
                code = child.exit_code()
                if code is None:
                    continue
                # What never answered is not waited for, whatever was lost later is.
                never_answered = code == handover.EX_UNAVAILABLE and child.is_new and not self._nats_failures
                if code == handover.EX_CONFIG or never_answered:
                    raise SettingRefused(child.last_words())
                if not announced and code != handover.EX_UNAVAILABLE and child.failures >= _HOPELESS:
                    raise SettingRefused(f"The {child.command} process does not start, see above.")
                if not child.waits_for_restart:
                    _say(child.last_words())
                    _say(f"The {child.command} process ended ({_described(code)}) and is started again")
                wait = child.restart_when_due()
                pause = min(pause or 60.0, wait or 60.0)
            if self.nats is not None and self.nats.exit_code() is not None:
                pause = min(pause or 60.0, self._restart_nats(self.nats))
            if not announced and self._ready():
                announced = True
                self._announce()
                continue
            self._sleep(pause)

    def _restart_nats(self, nats: EmbeddedNats) -> float:
        """Seconds until the next look."""
        now = time.monotonic()
        if not self._nats_restart_at:
            _say(f"nats-server ended ({_described(nats.exit_code() or 0)}) and is started again")
            self._nats_failures += 1
            self._nats_restart_at = now + min(10.0, 0.1 * 2 ** min(self._nats_failures, 10) - 0.2)
        if now < self._nats_restart_at:
            return self._nats_restart_at - now
        nats.start()
        self._nats_restart_at = 0.0
        return 1.0

    def _stop(self) -> None:
        """Edge, workers, nats-server, in this order; a second signal does not wait. What runs for others runs on."""
        if self._stops:
            _say("Stopping")
        for child in (self._edge, self._workers):
            if child.exit_code() is not None:
                continue
            child.terminate()
            deadline = time.monotonic() + self.settings.stop_seconds + 1
            while child.pid is not None and child.exit_code() is None:
                if time.monotonic() > deadline or self._impatient:
                    child.kill()
                else:
                    self._sleep(0.5)
        if self.nats is not None:
            self.nats.stop()
        for what, running in (
            ("trainings", running_trainings(self.settings.data_dir)),
            ("deployments", running_deployments(self.settings.data_dir)),
        ):
            if running:
                ends = told_command("stop --all", self.settings.data_dir)
                _say(f"These {what} go on; the next start takes them up again ({ends} ends them):")
            for identity in running:
                _say(f"  {identity}")

    def _with_embedded_nats(self, nats: EmbeddedNats) -> Settings:
        given = self.settings
        return msgspec.structs.replace(
            given,
            nats_url=nats.url,
            nats_credentials=given.nats_credentials or nats.users.seed_file(SERVICE),
            nats_admin_credentials=given.nats_admin_credentials or nats.users.seed_file(ADMIN),
        )

    def _nats_answers(self) -> bool:
        assert self.nats is not None
        if (code := self.nats.exit_code()) is not None:
            raise SettingRefused(f"nats-server does not start ({_described(code)}): {self.nats.last_words()}.")
        return self.nats.answers()

    def _ready(self) -> bool:
        return self._edge.pid is not None and is_ready(self.settings.host, self.settings.port, self._edge.pid)

    def _announce(self) -> None:
        settings = self.settings
        host = in_url(reachable(settings.host))
        _say(f"TrainLedger {VERSION} serves")
        _say(f"  API        http://{host}:{settings.port}")
        if is_any(settings.host):
            _say("             on all addresses of this machine")
        _say(f"  docs       http://{host}:{settings.port}/docs")
        _say(f"  NATS       {without_secrets(settings.nats_url)}")
        if settings.nats_credentials is not None:
            _say(f"             credentials in {settings.nats_credentials.parent}")
        _say(f"  data       {settings.data_dir}")
        _say(f"  database   {without_secrets(settings.training_db_url)}")
        _say(f"  trainings  {settings.host_training_dir}")
        _say("Ctrl-C stops it; trainings and deployments go on.")

    def _until(self, condition: Callable[[], bool]) -> bool:
        """Waits for the condition. False: a signal asked to stop before."""
        while not condition():
            if self._stops:
                return False
            self._sleep(0.02)
        return not self._stops

    def _sleep(self, seconds: float | None) -> None:
        for descriptor, _ in self._poll.poll(None if seconds is None else seconds * 1000):
            if descriptor == self._wake_reader.fileno():
                self._wake_reader.recv(4096)
            else:
                self._poll.unregister(descriptor)
                self._stop_asked()

    def _catch_signals(self) -> None:
        for end in (self._wake_reader, self._wake_writer):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        for signal_ in handover.stop_signals():
            signal.signal(signal_, self._stop_asked)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._poll.register(self._wake_reader, select.POLLIN)
        if _leader_hears_the_hang_up():
            self._poll.register(sys.stdin, 0)  # which tells of its end only

    def _stop_asked(self, *_: object) -> None:
        # A signal sent to this process and to its whole group arrives twice and means one thing.
        self._impatient = self._stops > 0 and time.monotonic() > self._stopped_at + 0.5
        self._stops += 1
        self._stopped_at = self._stopped_at or time.monotonic()


def _require_free_port(settings: Settings) -> None:
    try:
        bound(settings.host, settings.port, "TRAINLEDGER_HOST").close()
    except PermissionError as error:
        raise SettingRefused(f"Port {settings.port} needs more rights; choose another with --port.") from error
    except OSError as error:
        raise SettingRefused(
            f"Port {settings.port} on {settings.host} is taken; choose another with --port or TRAINLEDGER_PORT."
        ) from error


def _leader_hears_the_hang_up() -> bool:
    """Whether a program without job control, such as make, leads the session of the terminal.

    When that closes, the leader alone is told, and make waits for its children without telling them.
    """
    try:
        leader = os.getsid(0)
        return (
            signal.SIGHUP in handover.stop_signals()
            and leader == os.getpgrp() != os.getpid()
            and os.isatty(sys.stdin.fileno())
        )
    except (OSError, ValueError, AttributeError):  # no standard input
        return False


def _described(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _say(text: str) -> None:
    if text:
        with suppress(OSError):  # whoever read it has gone (a pipe, a terminal), or a disk is full: no reason to stop
            print(text, flush=True)
