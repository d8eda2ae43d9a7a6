"""What can be wrong with a request on de-identification."""

from __future__ import annotations

from contracts.problem_kinds.kind import ProblemKind

# What a request sent as text, policy, locale or format is never repeated in an answer: it may be what is to be hidden.
KINDS: dict[str, ProblemKind] = {
    "policy_unknown": ProblemKind(
        400, "去标识化策略不存在或已删除", "There is no such policy of de-identification, or it was deleted"
    ),
    "policy_version_unknown": ProblemKind(
        400, "该去标识化策略没有这个版本", "The policy of de-identification has no such version"
    ),
    "policy_outdated": ProblemKind(
        409,
        "该去标识化策略由早先的版本接受，不符合当前要求：请改正后以新的版本号上传",
        "An earlier release took the policy of de-identification, this one cannot: upload it, mended, as a new version",
    ),
    "locale_unknown": ProblemKind(
        400, "不支持的 locale，可用：{known}", "The locale is not supported; there are: {known}"
    ),
    "format_unknown": ProblemKind(
        400, "不支持的 format，可用：{known}", "The format is not supported; there are: {known}"
    ),
    "too_many_texts": ProblemKind(413, "一次最多处理 {limit} 条文本", "At most {limit} texts can be sent at a time"),
    "text_too_large": ProblemKind(
        413, "第 {number} 条文本超过上限 {limit} 字节", "Text {number} is larger than {limit} bytes"
    ),
    "reveal_forbidden": ProblemKind(
        403,
        "没有查看原文的权限：需要用 trainledger token add … --may reveal 创建的令牌",
        "Originals are told only to a token that was made with trainledger token add … --may reveal",
    ),
    "not_reversible": ProblemKind(
        409,
        "该策略的处理方式无法还原（或需要当时的 seed）",
        "What this policy does cannot be undone (or not without its seed)",
    ),
    "policy_not_found": ProblemKind(
        404, "没有去标识化策略 {policy_id}", "There is no policy of de-identification {policy_id}"
    ),
    "policy_built_in": ProblemKind(
        409,
        "策略 {policy_id} 为内置策略，不能替换或删除",
        "The policy {policy_id} is built in and can be neither replaced nor deleted",
    ),
    "policy_version_exists": ProblemKind(
        409,
        "策略 {policy_id} 的版本 {version} 已存在且内容不同，请使用新的版本号",
        "The policy {policy_id} has a version {version} with another content already; name a new version",
    ),
    "policy_too_large": ProblemKind(413, "策略超过上限 {limit} 字节", "The policy is larger than {limit} bytes"),
    "dataset_without_files": ProblemKind(
        409, "数据集 {dataset_id} 的该版本没有文件", "That version of the dataset {dataset_id} has no files"
    ),
    "file_format_unknown": ProblemKind(
        409,
        "无法去标识化文件 {name}：支持 {known}",
        "The file {name} cannot be de-identified; there are: {known}",
    ),
    "deid_job_not_found": ProblemKind(404, "没有去标识化任务 {job_id}", "There is no de-identification job {job_id}"),
    "deid_job_ended": ProblemKind(409, "去标识化任务已结束（{status}）", "The de-identification has ended ({status})"),
    "deid_unavailable": ProblemKind(
        503, "去标识化引擎暂不可用，请稍后重试", "The engine of de-identification is not available, try again later"
    ),
}
