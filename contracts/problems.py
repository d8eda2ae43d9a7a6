"""Every way in which a request is answered with something else than success (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Literal

import msgspec

Language = Literal["zh", "en"]


class FieldError(msgspec.Struct, frozen=True):
    """One thing that is wrong with a body: an RFC 6901 pointer into it, and what is wrong there."""

    pointer: str
    detail: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of an error response, media type `application/problem+json`."""

    title: str
    status: int
    detail: str
    code: str
    request_id: str
    type: str = "about:blank"
    errors: tuple[FieldError, ...] = ()


class Wrong(msgspec.Struct, frozen=True):
    """A field error before its language is known."""

    pointer: str
    zh: str
    en: str

    def text(self, language: Language) -> str:
        return self.zh if language == "zh" else self.en


class ProblemKind(msgspec.Struct, frozen=True):
    """A stable code with its HTTP status and its sentence in both languages (`str.format` fields)."""

    status: int
    zh: str
    en: str


PROBLEMS: dict[str, ProblemKind] = {
    # the request itself
    "invalid_body": ProblemKind(422, "请求内容无效：{reason}", "The request is not valid: {reason}"),
    "invalid_parameter": ProblemKind(400, "参数 {name} 无效：{reason}", "The parameter {name} is not valid: {reason}"),
    "body_too_large": ProblemKind(413, "请求体超过上限 {limit} 字节", "The request body is larger than {limit} bytes"),
    "unsupported_media_type": ProblemKind(
        415, "不支持的内容类型，请使用 {expected}", "Unsupported content type, use {expected}"
    ),
    "not_found": ProblemKind(404, "没有这个地址", "There is nothing at this address"),
    "method_not_allowed": ProblemKind(405, "此地址不支持该方法", "This address does not support that method"),
    "unauthenticated": ProblemKind(401, "需要有效的访问令牌", "A valid token is required"),
    "forbidden": ProblemKind(403, "该操作需要角色 {role}", "This operation needs the role {role}"),
    "foreign_host": ProblemKind(
        403, "拒绝来自其他主机名或来源的请求：{value}", "Requests for a foreign host or origin are refused: {value}"
    ),
    "internal_error": ProblemKind(500, "服务内部错误", "Internal error"),
    "log_unavailable": ProblemKind(
        503,
        "事件日志（NATS）暂不可用，请稍后重试",
        "The event log (NATS) is not available, try again later",
    ),
    "database_unavailable": ProblemKind(
        503, "查询数据库暂不可用，请稍后重试", "The database of the read models is not available, try again later"
    ),
    "unavailable": ProblemKind(503, "服务暂不可用：{reason}", "Temporarily unavailable: {reason}"),
    "not_ready": ProblemKind(503, "服务尚未就绪：{parts}", "Not ready: {parts}"),
    # idempotency and positions
    "invalid_command_id": ProblemKind(
        400,
        "Idempotency-Key（command-id）无效：须为 1 至 200 个可见 ASCII 字符",
        "Idempotency-Key (command-id) is not valid: it must be 1 to 200 visible ASCII characters",
    ),
    "command_id_reused": ProblemKind(
        422,
        "该 Idempotency-Key（command-id）已用于另一个请求",
        "This Idempotency-Key (command-id) was used for a different request",
    ),
    "command_in_progress": ProblemKind(
        409,
        "相同 Idempotency-Key 的请求仍在处理，请稍后重试",
        "A request with the same Idempotency-Key is still at work, try again later",
    ),
    "command_not_found": ProblemKind(404, "没有编号为 {id} 的命令", "There is no command {id}"),
    "too_much_contention": ProblemKind(
        409, "该对象正被频繁修改，请重试", "This object is being changed by others, try again"
    ),
    "position_not_reached": ProblemKind(
        503,
        "查询视图尚未到达位置 {position}，请稍后重试",
        "The read model has not reached position {position} yet, try again later",
    ),
    # projects
    "project_not_found": ProblemKind(404, "项目不存在：{reference}", "There is no project {reference}"),
    "project_exists": ProblemKind(409, "项目名称已存在：{name}", "A project named {name} exists already"),
    "project_archived": ProblemKind(
        409, "项目 {name} 已归档，不能修改或启动训练", "The project {name} is archived: it takes no changes and no runs"
    ),
    "project_not_archived": ProblemKind(409, "项目 {name} 未归档", "The project {name} is not archived"),
    # tokens
    "token_not_found": ProblemKind(404, "没有编号为 {id} 的令牌", "There is no token {id}"),
    # runs
    "run_not_found": ProblemKind(404, "训练任务不存在：{run_id}", "There is no run {run_id}"),
    "assets_missing": ProblemKind(400, "训练资源缺失：{missing}", "Training assets are missing: {missing}"),
    "asset_outside": ProblemKind(
        400, "训练资源路径越出训练目录：{outside}", "Asset paths leave the training directory: {outside}"
    ),
    "no_training_node": ProblemKind(
        503, "没有训练服务应答，无法检查训练资源", "No training service answers, so the assets cannot be checked"
    ),
    "start_command_not_allowed": ProblemKind(
        400,
        "不允许自定义 start_command，请由管理员开启设置 {setting}",
        "A start_command of the caller's own is not allowed; the setting {setting} allows it",
    ),
    "launch_failed": ProblemKind(500, "训练启动失败：{reason}", "The training could not be launched: {reason}"),
    "artifact_not_found": ProblemKind(404, "产物不存在：{artifact_id}", "There is no artifact {artifact_id}"),
    "run_not_ended": ProblemKind(
        409,
        "训练任务尚未结束（{status}），不能从它继续",
        "The run has not ended ({status}), so nothing can resume from it",
    ),
    "no_checkpoint": ProblemKind(
        409, "训练任务没有留下完整的检查点：{run_id}", "The run {run_id} has left no complete checkpoint"
    ),
    "not_a_checkpoint": ProblemKind(
        409, "产物 {name} 不是检查点（类型为 {type}）", "The artifact {name} is no checkpoint but of type {type}"
    ),
    "checkpoint_incomplete": ProblemKind(
        409,
        "检查点在节点 {node} 上已不存在或不完整：{path}",
        "The checkpoint is gone or not complete on node {node}: {path}",
    ),
    "too_many_tags": ProblemKind(409, "一个产物最多允许 {limit} 个标签", "An artifact may have at most {limit} tags"),
    "artifact_is_directory": ProblemKind(
        409,
        "产物 {name} 是目录，不能作为单个文件下载；它位于节点 {node} 的 {path}",
        "The artifact {name} is a directory and cannot be downloaded as one file; it is {path} on node {node}",
    ),
    "artifact_missing": ProblemKind(
        404, "产物文件已不在节点 {node} 上：{path}", "The artifact's file is no longer on node {node}: {path}"
    ),
    "artifact_changed": ProblemKind(
        409,
        "产物文件登记后已被改动，不再是所登记的内容：{path}",
        "The artifact's file was changed after it was recorded and is not what is on record: {path}",
    ),
    "artifact_unreadable": ProblemKind(
        409, "节点 {node} 无法提供该产物文件：{path}", "The node {node} cannot give the artifact's file: {path}"
    ),
    "node_unreachable": ProblemKind(
        503, "节点 {node} 没有应答，无法读取其文件", "The node {node} does not answer, so its files cannot be read"
    ),
    "range_not_satisfiable": ProblemKind(
        416, "请求的范围超出文件大小（{size} 字节）", "The range lies outside the file, which has {size} bytes"
    ),
    "run_ended": ProblemKind(409, "训练任务已结束（{status}）", "The run has ended already ({status})"),
}


class Refused(Exception):
    """A request that is answered with a problem and changes nothing.

    `code` is a key of PROBLEMS; the keyword arguments fill its sentence and become plain text, never markup.
    """

    def __init__(self, code: str, /, **values: Any) -> None:
        self.kind = PROBLEMS[code]
        self.code = code
        self.values = values
        self.wrongs: tuple[Wrong, ...] = ()
        super().__init__(code, values)

    @property
    def status(self) -> int:
        return self.kind.status

    def text(self, language: Language) -> str:
        sentence = self.kind.zh if language == "zh" else self.kind.en
        return sentence.format(**self.values)

    def problem(self, language: Language, request_id: str) -> Problem:
        return Problem(
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.text(language),
            code=self.code,
            request_id=request_id,
            errors=tuple(FieldError(wrong.pointer, wrong.text(language)) for wrong in self.wrongs),
        )


class InvalidBody(Refused):
    """A body that does not validate, with every field that is wrong."""

    def __init__(self, *wrongs: Wrong) -> None:
        super().__init__("invalid_body")
        self.wrongs = wrongs

    def text(self, language: Language) -> str:
        separator = "；" if language == "zh" else "; "
        reason = separator.join(f"{wrong.pointer} {wrong.text(language)}".strip() for wrong in self.wrongs)
        return (self.kind.zh if language == "zh" else self.kind.en).format(reason=reason)
