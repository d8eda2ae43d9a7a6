"""What is done to one chunk of a file, in whichever process."""

from __future__ import annotations

import io
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from operator import itemgetter

import msgspec
import numpy as np

from contracts.deid import FileFormat
from contracts.field_names import has_number, is_data
from services.runtime.deid.buffers import APART, Areas, Offsets
from services.runtime.deid.documents import Rewriter, Rewriting
from services.runtime.deid.faults import is_utf8, json_fault, line_of_fault, unicode_fault
from services.runtime.deid.files import formats, tables
from services.runtime.deid.files.json_arrays import Commas
from services.runtime.deid.keys import DerivedKeys
from services.runtime.deid.policies import Policy
from services.runtime.deid.recognisers import Recogniser
from services.runtime.deid.recognisers.groups import MARGIN
from services.runtime.deid.replacing import Replacer


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """All that a process has to know of a file's de-identification. `header`, `delimiter`: of a table."""

    policy: Policy
    keys: DerivedKeys
    locale: str
    kind: FileFormat
    fields: tuple[str, ...] | None = None
    header: tuple[str, ...] = ()
    delimiter: str = ""


class Bad(msgspec.Struct, frozen=True):
    """A line that is not what it should be, counted from 0 within its chunk.

    `fatal`: nothing after it can be read, so it cannot be left out.
    """

    line: int
    zh: str
    en: str
    fatal: bool = False


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a chunk. Bad lines are left out of its content."""

    content: bytes
    lines: int
    records: int
    counts: Counter[str]
    bad: tuple[Bad, ...] = ()
    fields: frozenset[str] = frozenset()


class Work:
    """Does one job, chunk by chunk."""

    def __init__(self, job: Job, rewriter: Rewriter | None = None) -> None:
        self._job = job
        self._rewriter = rewriter or Rewriter(Recogniser(job.policy), Replacer(job.policy, job.keys), job.locale)

    def for_names(self) -> Work:
        """The same of values that name others, as keys of maps do."""
        return Work(self._job, self._rewriter.for_names())

    def do(self, chunk: bytes, before: bytes = b"") -> Done:
        """`before`: the end of all chunks before it, as much as is context of plain text; empty before the first."""
        match self._job.kind:
            case "jsonl":
                return self._jsonl(chunk)
            case "json":
                return self._elements(chunk, first=not before) if before or _is_array(chunk) else self._json(chunk)
            case "csv" | "tsv":
                return self._table(chunk)
            case _:
                return self._text(chunk, before)

    def rewritten(self, values: Sequence[tuple[str, bytes]]) -> tuple[list[bytes], Counter[str]]:
        """Values, each a text of its own under its column's name."""
        return tables.cells_rewritten(self._rewriter, values)

    def holds_data(self, names: Sequence[str]) -> bool:
        """Whether what should be names is data by the policy."""
        given = [name.encode() for name in names]
        found = self._rewriter.text(APART.join(given), Areas.joined(given)).pairs()
        return any(_is_no_name(kind, value) for kind, value, _ in found) or (
            "NUMBER" in self._job.policy.types and any(map(has_number, names))
        )

    def documents(self, given: Sequence[tuple[str, bytes]], *, chosen: bool) -> tuple[list[bytes], Counter[str]]:
        """JSON, each under a name, de-identified as the values of fields in documents of their own are."""
        lines = [b'{"":{%b:%b}}\n' % (msgspec.json.encode(name), value) for name, value in given]
        if not lines:
            return [], Counter()
        starts, content = _starts(lines), b"".join(lines)
        done = self._rewriter.json(content, starts, [""] if chosen else None)
        after = done.stretches(starts, np.append(starts[1:], len(content)))
        return [bytes(value) for line in after for value in _FIELD.decode(line)[""].values()], done.counts()

    def values(self, given: Sequence[tuple[str, bytes]], *, chosen: bool) -> tuple[list[bytes], Counter[str]]:
        """Values of columns, as JSON writes them, each with its column's name."""
        lists = [
            (name, b"[%b]" % b",".join(value for _, value in group))
            for name, group in itertools.groupby(given, key=itemgetter(0))
        ]
        new, counts = self.documents(lists, chosen=chosen)
        return [bytes(value) for values in new for value in _ELEMENTS.decode(values)], counts

    def names(self, given: Sequence[bytes], column: str, *, chosen: bool) -> tuple[list[bytes], Counter[str]]:
        """Texts in a column, de-identified as names of fields are."""
        objects = [(column, b"{%b:0}" % msgspec.json.encode(name.decode())) for name in given]
        new, counts = self.documents(objects, chosen=chosen)
        return [name.encode() for value in new for name in msgspec.json.decode(value)], counts

    def _jsonl(self, chunk: bytes) -> Done:
        lines = _lines(chunk)
        kept, records, bad = lines, len(lines), list[Bad]()
        if not _all_json(chunk, lines):
            kept, records, bad = _good_lines(lines, json_fault)
            chunk = b"".join(kept)
        return _done(self._rewriter.json(chunk, _starts(kept), self._job.fields), len(lines), records, bad)

    def _json(self, chunk: bytes) -> Done:
        if fault := json_fault(chunk):
            return _broken(chunk, fault)
        return _done(self._rewriter.json(chunk, np.zeros(1, dtype=np.int64), self._job.fields), 1, 1, [])

    def _elements(self, chunk: bytes, *, first: bool) -> Done:
        """Of an array, each a document. With one in place of all others the chunk is an array if the whole is one."""
        array = (b"" if first else b"[0,") + chunk + (b"0]" if chunk.endswith(b",") else b"")
        if fault := json_fault(array):
            return _broken(array, fault)
        ends = Commas(depth=not first).ends(chunk)
        starts = np.append(0, ends[ends < len(chunk)])
        records = 0 if _EMPTY.fullmatch(array) else len(starts)
        return _done(self._rewriter.json(chunk, starts, self._job.fields), chunk.count(b"\n"), records, [])

    def _text(self, chunk: bytes, before: bytes) -> Done:
        """A block is searched with what precedes it and nothing else, whatever else is in its chunk."""
        fine = is_utf8(chunk)
        pieces, sizes, bad = list[bytes](), list[tuple[int, int]](), list[Bad]()
        count = records = 0
        for block in formats.blocks(chunk):
            lines = _lines(block)
            kept, good = lines, sum(not line.isspace() for line in lines)
            if not fine:
                kept, good, faults = _good_lines(lines, unicode_fault)
                bad += [msgspec.structs.replace(fault, line=fault.line + count) for fault in faults]
            context = before.decode(errors="ignore").encode()
            text = block if fine else b"".join(kept)
            pieces += [_NOTHING, context, text]
            sizes.append((len(context), len(text)))
            before = (before + block[-formats.CONTEXT :])[-formats.CONTEXT :]
            count, records = count + len(lines), records + good
        if b"\0" in chunk:
            bad.append(Bad(chunk.count(b"\n", 0, chunk.index(b"\0")), *formats.HAS_NUL, fatal=True))
            bad.sort(key=lambda fault: fault.line)
        contexts, texts = np.array(sizes, dtype=np.int64).T
        ends = np.cumsum(contexts + texts + len(_NOTHING))
        starts = ends - texts
        done = self._rewriter.text(b"".join([*pieces, _NOTHING]), Areas.plain(starts, ends), starts - contexts)
        content = b"".join(done.stretches(starts, ends))
        return Done(content=content, lines=count, records=records, counts=done.counts(), bad=tuple(bad))

    def _table(self, chunk: bytes) -> Done:
        job = self._job
        columns = [n for n, name in enumerate(job.header) if job.fields is None or name in job.fields]
        table = tables.read(chunk, job.delimiter, len(job.header))
        names = itertools.cycle([job.header[column] for column in columns])
        cells = [(name, cell.encode()) for cell, name in zip(table.cells(columns), names, strict=False)]
        new, counts = tables.cells_rewritten(self._rewriter, cells, per_row=len(columns))
        content = table.written(columns, [cell.decode() for cell in new])
        zh, en = "列数与表头不符", "has another number of columns than the header"
        bad = [Bad(line, zh, en) for line in table.ragged]
        if fault := table.fault:
            bad.append(Bad(fault.line, fault.zh, fault.en, fatal=True))
        records = sum(map(bool, table.rows))
        return Done(content=content, lines=len(_lines(chunk)), records=records, counts=counts, bad=tuple(bad))


_NOTHING = bytes(MARGIN)
"""What recognisers see beyond the begin and the end of a content."""


def _is_no_name(kind: str, value: str) -> bool:
    """Tables have columns of days and numbers, and names like `微信 openid2`, which announce a value that is none."""
    if kind in ("DATE", "NUMBER", "PERSON", "ADDRESS"):
        return False
    if kind == "URL":
        return is_data(value)
    return kind not in ("WECHAT", "API_KEY") or len(value) >= _LONGEST_WORD or _WORD.fullmatch(value) is None


_LONGEST_WORD = 24
_WORD = re.compile(r"[^0-9]+[0-9]?|(?:19|20)[0-9]{2}")
"""Of a name, with the number of the column, and years."""


def _done(done: Rewriting, lines: int, records: int, bad: list[Bad]) -> Done:
    content = done.joined()
    return Done(content=content, lines=lines, records=records, counts=done.counts(), bad=tuple(bad), fields=done.fields)


def _broken(document: bytes, fault: tuple[str, str]) -> Done:
    bad = Bad(line_of_fault(document), *fault, fatal=True)
    return Done(content=b"", lines=0, records=0, counts=Counter(), bad=(bad,))


def _is_array(document: bytes) -> bool:
    return document.lstrip().startswith(b"[")


_EMPTY = re.compile(rb"\s*\[\s*\]\s*")
_LINE = msgspec.json.Decoder(msgspec.Raw)
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_FIELD = msgspec.json.Decoder(dict[str, dict[str, msgspec.Raw]])


def _all_json(chunk: bytes, lines: list[bytes]) -> bool:
    """Every line of the chunk is one JSON value, and none is blank."""
    decode = _LINE.decode
    if not is_utf8(chunk):
        return False
    try:
        for line in lines:
            decode(line)
    except (ValueError, RecursionError):
        return False
    return True


def _good_lines(lines: list[bytes], fault_of: object) -> tuple[list[bytes], int, list[Bad]]:
    """The lines that are not bad, how many records those are (blank lines are none), and the bad ones."""
    assert callable(fault_of)
    kept, records, bad = [], 0, []
    for number, line in enumerate(lines):
        if not line.strip():
            kept.append(line)
        elif fault := fault_of(line):
            bad.append(Bad(number, *fault))
        else:
            kept.append(line)
            records += 1
    return kept, records, bad


def _lines(chunk: bytes) -> list[bytes]:
    """With their ends; only `\\n` ends a line."""
    return io.BytesIO(chunk).readlines()


def _starts(lines: list[bytes]) -> Offsets:
    lengths = np.fromiter(map(len, lines), dtype=np.int64, count=len(lines))
    return np.cumsum(lengths) - lengths
