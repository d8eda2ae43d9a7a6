"""Why the storage failed a job, in both languages."""

from __future__ import annotations

import errno

_FULL = ("存储空间不足", "the storage is full")
_REFUSED = ("没有访问存储的权限", "the storage denies access")
_KNOWN = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.ENOENT: ("存储中没有该文件", "the storage has no such file"),
    errno.EACCES: _REFUSED,
    errno.EPERM: _REFUSED,
    errno.EROFS: ("存储为只读", "the storage is read-only"),
    errno.EIO: ("存储设备读写出错", "the device of the storage fails"),
}


def storage_reason(error: OSError) -> tuple[str, str]:
    """In Chinese and in English."""
    number = error.errno or 0
    other = (f"存储出错（{errno.errorcode.get(number, number)}）", f"the storage fails: {error.strerror}")
    return _KNOWN.get(number, other)
