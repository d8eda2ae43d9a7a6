"""What can be wrong with any request: itself, its identity, its place in time."""

from __future__ import annotations

from contracts.problem_kinds.kind import ProblemKind

KINDS: dict[str, ProblemKind] = {
    "invalid_body": ProblemKind(422, "请求内容无效：{reason}", "The request is not valid: {reason}"),
    "invalid_parameter": ProblemKind(400, "参数 {name} 无效：{reason}", "The parameter {name} is not valid: {reason}"),
    "invalid_http": ProblemKind(400, "这不是有效的 HTTP 请求", "This is not a valid HTTP request"),
    "head_too_large": ProblemKind(
        431, "请求头超过上限 {limit} 字节", "What comes before the body is larger than {limit} bytes"
    ),
    "body_too_large": ProblemKind(413, "请求体超过上限 {limit} 字节", "The request body is larger than {limit} bytes"),
    "unsupported_media_type": ProblemKind(
        415, "不支持的内容类型，请使用 {expected}", "Unsupported content type, use {expected}"
    ),
    "unsupported_content_encoding": ProblemKind(
        415,
        "不支持 Content-Encoding，请直接发送未压缩的内容",
        "No Content-Encoding is supported: send the content as it is",
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
    "outcome_unknown": ProblemKind(
        504,
        "事件日志（NATS）未及时确认，该请求可能已被记录：请先查询，再决定是否重发；"
        "带 Idempotency-Key 的请求可原样重发，只执行一次",
        "The event log (NATS) did not confirm in time, so this may be on record: look before you repeat it; "
        "with an Idempotency-Key it can be repeated as it is, and is executed once",
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
    "command_not_found": ProblemKind(
        404,
        "没有编号为 {id} 的命令：只记录带有 Idempotency-Key（NATS 为 command-id）的命令，且只有其发送者与管理员可查",
        "There is no command {id}: those are kept that carried an Idempotency-Key (over NATS a command-id), for their"
        " senders and administrators",
    ),
    "unknown_command": ProblemKind(
        404,
        "没有命令 {context}.{name}：$SRV.INFO 列出全部命令及其格式",
        "There is no command {context}.{name}: $SRV.INFO lists all, with their schemas",
    ),
    "too_much_contention": ProblemKind(
        409, "该对象正被频繁修改，请重试", "This object is being changed by others, try again"
    ),
    "position_not_reached": ProblemKind(
        503,
        "查询视图尚未到达位置 {position}，请稍后重试",
        "The read model has not reached position {position} yet, try again later",
    ),
}
