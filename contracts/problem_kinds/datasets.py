"""What can be wrong with a request on datasets and uploads."""

from __future__ import annotations

from contracts.problem_kinds.kind import ProblemKind

KINDS: dict[str, ProblemKind] = {
    "dataset_not_found": ProblemKind(404, "数据集不存在：{dataset_id}", "There is no dataset {dataset_id}"),
    "upload_not_found": ProblemKind(404, "上传不存在：{upload_id}", "There is no upload {upload_id}"),
    "dataset_version_not_found": ProblemKind(
        404, "数据集 {dataset_id} 没有版本 {version}", "The dataset {dataset_id} has no version {version}"
    ),
    "dataset_file_gone": ProblemKind(410, "文件 {name} 的内容已被删除", "The bytes of the file {name} were removed"),
    "file_missing": ProblemKind(
        422,
        "请以 multipart/form-data 的字段 file 上传一个文件",
        "Send one file as the field `file` of multipart/form-data",
    ),
    "several_files": ProblemKind(422, "一次只能上传一个文件", "Only one file can be uploaded at a time"),
    "file_empty": ProblemKind(422, "文件为空", "The file is empty"),
    "file_too_large": ProblemKind(413, "文件超过上限 {limit} 字节", "The file is larger than {limit} bytes"),
    "file_name_invalid": ProblemKind(422, "文件名无效：{reason}", "The name of the file is not valid: {reason}"),
    "multipart_invalid": ProblemKind(
        422, "multipart 请求体无法解析或不完整", "The multipart body cannot be read or is not complete"
    ),
    "too_many_files": ProblemKind(409, "一个数据集最多允许 {limit} 个文件", "A dataset may have at most {limit} files"),
    "upload_stalled": ProblemKind(
        408, "上传中断：{seconds} 秒内没有收到数据", "Nothing more of the upload arrived for {seconds} seconds"
    ),
    "storage_full": ProblemKind(507, "存储空间不足，文件未保存", "The storage is full, so nothing was stored"),
    "storage_unavailable": ProblemKind(
        503, "存储目录暂不可用，文件未保存", "The storage cannot be written to now, so nothing was stored"
    ),
    "storage_unreachable": ProblemKind(503, "存储服务没有应答", "Whoever holds the uploaded files does not answer"),
    # resumable uploads
    "tus_version": ProblemKind(
        412, "不支持的 tus 版本，请使用 Tus-Resumable: 1.0.0", "Unsupported version of tus, use Tus-Resumable: 1.0.0"
    ),
    "upload_offset_wrong": ProblemKind(
        409, "Upload-Offset 与已收到的 {offset} 字节不符", "Upload-Offset is not the {offset} bytes that have arrived"
    ),
    "upload_busy": ProblemKind(
        423, "该上传正由另一个请求写入", "Another request is writing to this upload at this moment"
    ),
    "upload_taken_over": ProblemKind(409, "该上传已由另一个请求继续", "Another request goes on with this upload"),
    "upload_expired": ProblemKind(410, "该上传已过期", "The upload has expired"),
    "upload_finished": ProblemKind(409, "该上传已完成", "The upload is finished already"),
}
