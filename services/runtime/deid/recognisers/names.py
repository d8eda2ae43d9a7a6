"""Names and addresses of people, by the names of fields and by titles: an option, as text alone tells too little."""

from __future__ import annotations

import re

import numpy as np

from services.runtime.deid.buffers import Buffer
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import MARGIN
from services.runtime.deid.recognisers.words import BITS, Words

SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆"
    "范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常汤康易乔赖文施洪辛柯温"
)
_HAN = r"[\u4e00-\u9fa5]"
_TITLED = re.compile(rf"[{SURNAMES}]{_HAN}{{0,2}}?(?=$)")
_TOLD = re.compile(rf"[\s:：为是叫\"“]{{0,3}}([{SURNAMES}](?![我你您他她它咱]){_HAN}{{1,2}})(?!{_HAN})")
_LATIN = re.compile(r"[\s:：]{0,3}([A-Z][a-z]+(?: [A-Z][a-z'.-]+){1,3})")
_PLACE = re.compile(
    rf"[\s:：为是在于\"“]{{0,3}}({_HAN}{{2,8}}(?:省|市|自治区|区|县)[\u4e00-\u9fa50-9A-Za-z（）()#-]{{2,40}}?"
    r"(?:号|室|栋|单元|楼|弄|村|组|座|层)(?:[0-9A-Za-z\u4e00-\u9fa5-]{0,12}?(?:号|室|栋|单元|楼|层))*)"
)
_TITLES = "先生|女士|小姐|经理|老师|医生|师傅|同学|总监|主任|教授|律师"
_TITLE = re.compile(_TITLES.encode())
_NOBODY = re.compile(
    rb"assistant|user|system|tool|function|developer|human|bot|[A-Za-z]\w*[_0-9]\w*|[a-z]+[A-Z]\w*|[a-z0-9]+(?:[-.][a-z0-9]+)+"
)
"""Names of roles, of functions and of other things of programs."""
_LONGEST_FIELD = 200
_FARTHEST = 240


def find(buffer: Buffer, words: Words, out: Candidates) -> None:
    """Whole fields that are called `name`, `姓名`, `address`, …; names after such a word or before a title."""
    if not out.wanted & {"PERSON", "ADDRESS"} or not len(buffer.areas.starts):
        return
    named = words.of_names(buffer.areas, whole=True)
    short = (buffer.areas.ends - buffer.areas.starts <= _LONGEST_FIELD) & (buffer.areas.ends > buffer.areas.starts)
    for kind, word in (("PERSON", "name"), ("ADDRESS", "address")):
        whole = np.flatnonzero(short & ((named & BITS[word]) > 0))
        if kind == "PERSON" and kind in out.wanted:
            starts, ends = buffer.areas.starts[whole].tolist(), buffer.areas.ends[whole].tolist()
            text = (buffer.bytes[start:end].tobytes() for start, end in zip(starts, ends, strict=True))
            whole = whole[[not _NOBODY.fullmatch(value) for value in text]]
        out.add(kind, buffer.areas.starts[whole] + MARGIN, buffer.areas.ends[whole] + MARGIN, 0.7)
    content = buffer.bytes.tobytes()
    for kind, word, expressions in (("PERSON", "name", (_TOLD, _LATIN)), ("ADDRESS", "address", (_PLACE,))):
        if kind not in out.wanted:
            continue
        ends = words.ends[(words.bits & BITS[word]) > 0]
        area = np.minimum(np.searchsorted(buffer.areas.ends, ends), len(buffer.areas.ends) - 1)
        limits = np.minimum(ends + _FARTHEST, buffer.areas.ends[area])  # of the word's area, or of its field's value
        for end, limit in zip(ends.tolist(), limits.tolist(), strict=True):
            _told(content[end:limit], end, kind, expressions, out)
    _titled(content, out)


def _told(content: bytes, end: int, kind: str, expressions: tuple[re.Pattern[str], ...], out: Candidates) -> None:
    """`content`: what follows a word that ends at `end`."""
    window = content.decode(errors="ignore")
    for expression in expressions:
        if found := expression.match(window):
            first = end + len(window[: found.start(1)].encode())
            out.add_one(kind, first + MARGIN, first + len(found[1].encode()) + MARGIN, 0.6)
            return


def _titled(content: bytes, out: Candidates) -> None:
    if "PERSON" not in out.wanted:
        return
    for title in _TITLE.finditer(content):
        window = content[max(0, title.start() - 9) : title.start()].decode(errors="ignore")
        found = list(_TITLED.finditer(window))
        if found:
            name = found[-1][0].encode()
            out.add_one("PERSON", title.start() - len(name) + MARGIN, title.start() + MARGIN, 0.6)
