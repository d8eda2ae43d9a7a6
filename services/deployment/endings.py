"""Why an attempt ended as it did."""

from __future__ import annotations

import re
import signal

import msgspec

from events.deployments import AttemptEnd, DeploymentFailure
from services.runtime.children import Ended, Lost

_ADDRESS_IN_USE = re.compile(r"address already in use|EADDRINUSE|errno 98\b", re.IGNORECASE)


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """`cause` is none for exit code 0; `reason` a Chinese sentence."""

    cause: AttemptEnd | None
    reason: str
    exit_code: int | None = None

    @property
    def failure(self) -> DeploymentFailure | None:
        return None if self.cause == "restart" or self.cause == "machine_restart" else self.cause


def explain(state: Ended | Lost) -> Ending:
    if isinstance(state, Lost):
        return Ending(cause="lost", reason="服务进程已消失且没有留下退出码（可能与其包装进程一起被终止）")
    code = state.exit_code
    if state.refused is not None:
        return Ending(cause="launch", reason=state.refused.zh, exit_code=code)
    if code == 0:
        return Ending(cause=None, reason="服务进程已自行结束（退出码 0）", exit_code=code)
    if state.out_of_memory:
        return Ending(cause="out_of_memory", reason=f"服务进程因内存不足被内核终止（退出码 {code}）", exit_code=code)
    if code > 128:
        try:
            name = signal.Signals(code - 128).name
        except ValueError:
            pass
        else:
            return Ending(cause="signal", reason=f"服务进程被信号 {name} 终止（退出码 {code}）", exit_code=code)
    return Ending(cause="exit", reason=f"服务进程以退出码 {code} 结束", exit_code=code)


def port_taken(port: int, exit_code: int | None, *, seen: bool) -> Ending:
    """`seen` by a look at the port; else it is what the server says."""
    reason = f"端口 {port} 已被其他进程占用" if seen else f"服务进程报告地址已被占用（端口 {port}）"
    return Ending(cause="port_taken", reason=reason, exit_code=exit_code)


def says_port_taken(lines: tuple[str, ...]) -> bool:
    """Whether a server's last words are that its address was in use."""
    return any(_ADDRESS_IN_USE.search(line) for line in lines)
