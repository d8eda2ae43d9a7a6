"""Runs commands in a named container, through the same wrapper, by detached docker exec."""

from __future__ import annotations

import asyncio
import io
import logging
import math
import os
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from services.runtime.children import (
    Ended,
    LaunchFailed,
    Lost,
    NeverStarted,
    Running,
    Starting,
    State,
    Unreachable,
    host,
    wrapped,
)
from services.runtime.durable_files import write_durably
from services.training.configuration import CONFIG_FILE, kept
from services.training.executors import Place
from services.training.executors.engine import ANSWER, Engine, NotThere, errors, said
from services.training.executors.mirror import Mirror

if TYPE_CHECKING:
    from aiodocker.containers import DockerContainer

_log = logging.getLogger("trainledger.training")
_INSIDE = PurePosixPath("/var/tmp/trainledger")  # noqa: S108 - survives a restart of the container, as /tmp may not
_CHECK_EVERY = 2.0  # seconds; each costs a docker exec


class Where(msgspec.Struct, frozen=True):
    """Where an attempt runs: noted before the exec, so that a container of the same name is not taken for that one.

    `directory` is the run's in the container; `mounted`: it is the very directory that this host sees. `trainer_log` is
    a file in the container to be copied to this host too.
    """

    container: str
    directory: str
    mounted: bool
    trainer_log: str | None = None


class DockerExecutor:
    """`workdir` is relative to the container's own working directory, or absolute.

    `url` is the engine's, none for DOCKER_HOST or the usual socket. Where the run's directory is in no mount of the
    container, its output is copied to this host as it grows; where `root`, the training directory, is in none, the
    trainer's own log too.
    """

    name = "docker"

    def __init__(self, container: str, workdir: str, url: str | None = None, root: Path | None = None) -> None:
        self._name = container
        self._workdir = workdir
        self._root = root
        self._engine = Engine(url)
        self._looked: dict[Place, tuple[float, State]] = {}
        self._mirrors: dict[Place, Mirror] = {}

    async def close(self) -> None:
        for mirror in self._mirrors.values():
            await mirror.close()
        self._mirrors.clear()
        await self._engine.close()

    async def unusable(self) -> str | None:
        """Why nothing can be run now, in English; none where it can."""
        try:
            await self._named()
        except LaunchFailed as failure:
            return failure.reason.en
        return None

    async def launch(self, place: Place, argv: tuple[str, ...], variables: Mapping[str, str]) -> None:
        if await asyncio.to_thread(wrapped.prevented, place):
            return
        container, details = await self._named()
        inside = _mounted_at(details.get("Mounts") or [], place.directory)
        directory = str(inside or _INSIDE / place.key)
        try:
            code, _ = await self._engine.exec(container, "bash", "-c", "type -P setsid")
            if code != 0:
                zh, en = ("setsid（util-linux）", "setsid (util-linux)") if code == 1 else ("bash", "bash")
                raise LaunchFailed(
                    f"容器 {self._name} 中没有 {zh}，无法启动命令",
                    f"the container {self._name} has no {en} to start the command with",
                )
            wrapper = await asyncio.to_thread(wrapped.install, place)
            output = variables.get("OUTPUT_DIR")
            seen = self._root is None or _mounted_at(details.get("Mounts") or [], self._root) is not None
            trainer_log = None if output is None or seen else f"{output}/trainer_log.jsonl"
            if trainer_log is not None:
                _log.warning(
                    "container %s has no mount of %s: what run %s leaves in %s cannot be found as its artifacts",
                    *(self._name, self._root, place.run_id, output),
                )
            where = Where(details["Id"], directory, inside is not None, trainer_log)
            await asyncio.to_thread(write_durably, _note(place), msgspec.json.encode(where))
            if not where.mounted:
                await self._install(container, directory, await asyncio.to_thread(wrapper.read_text))
            if configuration := await asyncio.to_thread(kept, place.directory):
                variables = {**variables, CONFIG_FILE: f"{directory}/{configuration.name}"}
                if not where.mounted:
                    archive = await asyncio.to_thread(_archive, configuration)
                    await container.put_archive(directory, archive)  # type: ignore[no-untyped-call]
            command = ["bash", "-l", f"{directory}/wrapper.sh", "apart", directory, place.mark, self._workdir, *argv]
            execution = await container.exec(command, stdout=False, stderr=False, environment=dict(variables))
            await execution.start(detach=True)
        except NotThere as error:
            raise LaunchFailed(f"容器 {self._name} 未在运行", f"the container {self._name} does not run") from error
        except Unreachable as error:
            _log.warning("the launch of %s may not have reached the engine: %s", place.key, error)
        except errors() as error:
            # What the engine refused did not start; whether anything else did, the run's directory will tell.
            if getattr(error, "status", 500) < 500 and await self.prevent(place):
                raise LaunchFailed(
                    f"容器引擎拒绝执行：{said(error)}", f"the container engine refuses: {said(error)}"
                ) from error
            _log.warning("the launch of %s may not have reached the engine: %s", place.key, said(error))

    async def look(self, place: Place) -> State:
        if ended := await asyncio.to_thread(wrapped.ended, place):
            return ended
        where = await asyncio.to_thread(_read_note, place)
        if where is None:
            return NeverStarted()
        if not where.mounted:
            try:
                return await self._follow(place, where)
            except NotThere:
                return await asyncio.to_thread(wrapped.ended, place) or Lost()
            except Unreachable as error:
                _log.warning("%s cannot be looked at: %s", place.key, error)
                return Starting()
        looked_at, before = self._looked.get(place, (-math.inf, None))
        every = _CHECK_EVERY
        if not isinstance(before, Running):
            if await asyncio.to_thread(wrapped.command_identity, place):
                before = Running()
                self._looked[place] = (time.monotonic(), before)
                return before
            every = 0.1
        if before is not None and time.monotonic() - looked_at < every:
            return before
        try:
            state = await self._check(place, where)
        except NotThere:
            state = await asyncio.to_thread(wrapped.ended, place) or Lost()
        except Unreachable as error:
            _log.warning("%s cannot be looked at: %s", place.key, error)
            state = before or Starting()
        self._looked[place] = (time.monotonic(), state)
        return state

    async def prevent(self, place: Place) -> bool:
        where = await asyncio.to_thread(_read_note, place)
        if where is None or where.mounted:
            return await asyncio.to_thread(host.prevent, place)
        try:
            script = f"{where.directory}/wrapper.sh"
            code, _ = await self._engine.exec(
                await self._engine.container(where.container), "bash", script, "prevent", where.directory
            )
        except NotThere:
            return True
        return code == 0

    async def stop(self, place: Place, grace: float) -> tuple[int, ...]:
        where = await asyncio.to_thread(_read_note, place)
        if where is None:
            return ()
        self._looked.pop(place, None)
        script, seconds = f"{where.directory}/wrapper.sh", str(math.ceil(grace))
        try:
            container = await self._engine.container(where.container)
            code, printed = await self._engine.exec(
                container, "bash", script, "stop", where.directory, place.mark, seconds, timeout=grace + ANSWER
            )
        except NotThere:
            return ()
        if code != 0:
            raise Unreachable(f"stop of {place.key} ended with {code}: {printed!r}")
        return tuple(int(pid) for pid in printed.split())

    async def _check(self, place: Place, where: Where) -> State:
        container = await self._engine.container(where.container)
        _, printed = await self._engine.exec(
            container, "bash", f"{where.directory}/wrapper.sh", "state", where.directory
        )
        return await asyncio.to_thread(_state, place, printed.decode().strip())

    async def _follow(self, place: Place, where: Where) -> State:
        container = await self._engine.container(where.container)
        mirror = self._mirrors.get(place)
        if mirror is None:
            copied = {"out.log": place.output, "err.log": place.errors, "order": place.order}
            files = {f"{where.directory}/{name}": copy for name, copy in copied.items()}
            if where.trainer_log is not None:
                files[where.trainer_log] = place.trainer_log
            mirror = self._mirrors[place] = Mirror(where.directory, self._workdir, files)
        try:
            word = await mirror.state(container)
        except Exception:
            await self._mirrors.pop(place).close()  # whoever looks again begins anew
            raise
        if word == "ended":
            for name in ("refused", "exit"):
                code, content = await self._engine.exec(container, "cat", f"{where.directory}/{name}")
                if code == 0:
                    await asyncio.to_thread(write_durably, place.directory / name, content)
        state = await asyncio.to_thread(_state, place, word)
        if isinstance(state, Ended | Lost | NeverStarted):
            await self._mirrors.pop(place).close()
        return state

    async def _install(self, container: DockerContainer, directory: str, wrapper: str) -> None:
        script = (
            'mkdir -p -m 700 -- "$1" && printf %s "$2" > "$1/.wrapper.$$" && mv -- "$1/.wrapper.$$" "$1/wrapper.sh"'
        )
        code, said = await self._engine.exec(container, "bash", "-c", script, "install", directory, wrapper)
        if code != 0:
            what = said.decode(errors="replace").strip()
            raise LaunchFailed(
                f"容器 {self._name} 中无法写入 {directory}：{what}",
                f"{directory} in the container {self._name} cannot be written to: {what}",
            )

    async def _named(self) -> tuple[DockerContainer, dict[str, Any]]:
        """The container that new runs go to. Raises LaunchFailed where it cannot take them."""
        try:
            container = await self._engine.container(self._name)
            details = await container.show()
        except Unreachable as error:
            raise LaunchFailed(
                f"无法连接 Docker 引擎：{error}", f"the Docker engine does not answer: {error}"
            ) from error
        except errors() as error:
            if getattr(error, "status", None) == 404:
                raise LaunchFailed(f"容器 {self._name} 不存在", f"there is no container {self._name}") from error
            raise LaunchFailed(
                f"无法连接 Docker 引擎：{said(error)}", f"the Docker engine does not answer: {said(error)}"
            ) from error
        if not details["State"]["Running"] or details["State"].get("Paused"):
            state = details["State"].get("Status", "?")
            raise LaunchFailed(
                f"容器 {self._name} 未在运行（{state}）", f"the container {self._name} does not run ({state})"
            )
        return container, details


def _note(place: Place) -> Path:
    return place.directory / "docker.json"


def _read_note(place: Place) -> Where | None:
    try:
        return msgspec.json.decode(_note(place).read_bytes(), type=Where)
    except FileNotFoundError:
        return None


def _mounted_at(mounts: list[dict[str, Any]], directory: Path) -> PurePosixPath | None:
    """Where the container sees a directory of this host, none where it does not or may not write there."""
    best: tuple[int, PurePosixPath] | None = None
    real = Path(os.path.realpath(directory))
    for mount in mounts:
        source = Path(os.path.realpath(mount.get("Source") or "/nonexistent"))
        if mount.get("RW") and real.is_relative_to(source):
            found = PurePosixPath(mount["Destination"]) / real.relative_to(source)
            if best is None or len(source.parts) > best[0]:
                best = (len(source.parts), found)
    return best[1] if best else None


def _state(place: Place, word: str) -> State:
    states: dict[str, State] = {"none": NeverStarted(), "starting": Starting(), "running": Running(), "gone": Lost()}
    return wrapped.ended(place) or states.get(word) or Starting()


def _archive(file: Path) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(file, file.name)
    return archive.getvalue()
