"""What can be found wrong with the content of a file: codes as facts hold them, and their sentences."""

from __future__ import annotations

import msgspec

from contracts.problems import Language


class Finding(msgspec.Struct, frozen=True):
    """A stable code's sentence in both languages. `refuses`: a file of which it is true is invalid."""

    zh: str
    en: str
    refuses: bool = True


FINDINGS: dict[str, Finding] = {
    "empty": Finding("文件为空", "The file is empty"),
    "altered": Finding(
        "内容与上传时登记的 SHA-256 不符", "The content does not have the SHA-256 that was recorded at its upload"
    ),
    "no_records": Finding("文件中没有任何记录", "There is no record in the file"),
    "binary": Finding("不是文本，也不是可识别的格式", "Neither text nor a format that is known"),
    "utf16": Finding("编码是 UTF-16，请转为 UTF-8", "The encoding is UTF-16; make it UTF-8"),
    "gbk": Finding("编码是 GBK/GB18030，请转为 UTF-8", "The encoding is GBK/GB18030; make it UTF-8"),
    "not_utf8": Finding("不是合法的 UTF-8", "Not valid UTF-8"),
    "null_byte": Finding("含有 NUL 字节", "There is a NUL byte"),
    "line_too_long": Finding("行过长", "The line is too long"),
    "record_too_long": Finding("记录过长", "The record is too long"),
    "too_many_fields": Finding("字段过多", "There are too many fields"),
    "too_deeply_nested": Finding("嵌套过深", "Nested too deeply"),
    "json_syntax": Finding("不是合法的 JSON", "Not valid JSON"),
    "json_truncated": Finding("JSON 不完整，文件在其结束前中断", "The JSON is not complete: the file ends before it"),
    "duplicate_key": Finding("同一对象中有重复的键", "A key occurs twice in one object"),
    "number_too_long": Finding("数字过长", "A number is too long"),
    "lone_surrogate": Finding("转义的代理字符不成对", "Half of an escaped surrogate pair"),
    "not_an_object": Finding("记录不是 JSON 对象", "The record is not a JSON object"),
    "csv_syntax": Finding("引号使用有误", "Quotes are used wrongly"),
    "open_quote": Finding("引号没有闭合", "A quote is not closed"),
    "ragged_row": Finding("列数与表头不一致", "The number of columns is not that of the header"),
    "duplicate_column": Finding("表头中有重复的列名", "A column occurs twice in the header"),
    "parquet_truncated": Finding("Parquet 文件不完整", "The Parquet file is not complete"),
    "parquet_damaged": Finding("Parquet 文件已损坏", "The Parquet file is damaged"),
    "parquet_encrypted": Finding("Parquet 文件已加密", "The Parquet file is encrypted"),
    "footer_too_long": Finding("Parquet 文件的元数据过大", "The metadata of the Parquet file is too large"),
    "too_much_memory": Finding("内容解开后超出检查的内存上限", "Unpacked it takes more memory than a check may use"),
    "too_slow": Finding("检查超出时间上限", "The check takes longer than it may"),
    "check_crashed": Finding("检查该文件的进程两次异常终止", "The process that checks the file died twice"),
    "byte_order_mark": Finding(
        "文件以字节顺序标记（BOM）开头", "The file begins with a byte order mark", refuses=False
    ),
    "other_shape": Finding(
        "记录的训练格式与多数记录不同", "The record has another training format than most", refuses=False
    ),
    "not_checked": Finding("压缩包或非文本文件，内容未检查", "An archive or no text: not looked into", refuses=False),
}


def sentence(code: str, language: Language) -> str:
    """Of a code; the code itself where this release does not know it."""
    finding = FINDINGS.get(code)
    if finding is None:
        return code
    return finding.zh if language == "zh" else finding.en
