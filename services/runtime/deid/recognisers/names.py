"""Names and addresses of people, by the names of fields and by titles: an option, as text alone tells too little."""

from __future__ import annotations

import re

import numpy as np

from services.runtime.deid.buffers import Buffer, Flags
from services.runtime.deid.recognisers import latin_names, places
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import MARGIN
from services.runtime.deid.recognisers.vocabulary import BITS
from services.runtime.deid.recognisers.words import Words
from services.runtime.deid.spellings import both, spelled

CLASSES = frozenset({"name", "role", "title", "address", "place"})
"""Of words that tell names and addresses."""
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆"
    "范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常汤康易乔赖文施洪辛柯温"
)
_LONG_SURNAMES = (
    "欧阳|司马|上官|诸葛|东方|皇甫|尉迟|公孙|慕容|司徒|令狐|夏侯|宇文|长孙|轩辕|端木|百里|南宫|西门|独孤|呼延|申屠|澹台"
    "|公羊|钟离|闻人|太史|濮阳|淳于|单于|完颜|拓跋|纳兰"
)
_HAN = r"[\u4e00-\u9fa5]"
SURNAME = f"(?:{both(_LONG_SURNAMES)}|[{''.join(way for one in _SURNAMES for way in spelled(one))}])"
_TITLED = re.compile(rf"{SURNAME}(?:(?!某){_HAN}){{0,2}}?(?=$)")
_TOLD = re.compile(rf"[\s:：为為是叫\"“]{{0,8}}({SURNAME}(?![我你您他她它咱某]){_HAN}{{1,2}})(?!{_HAN})")
TITLES = "先生|女士|小姐|经理|老师|医生|师傅|同学|总监|主任|教授|律师"
_TITLE = re.compile(both(TITLES).encode())
_NOBODY = re.compile(
    rb"assistant|user|system|tool|function|developer|human|bot|[A-Za-z]\w*[_0-9]\w*|[a-z]+[A-Z]\w*|[a-z0-9]+(?:[-.][a-z0-9]+)+"
)
"""Names of roles, of functions and of other things of programs."""
_THINGS = (
    "functions?|tools?|tool_calls?|plugins?|models?|products?|goods|projects?|files?|datasets?|companies|company|apps?|services?"
    "|devices?|courses?|schools?|categories|category|brands?|shops?|stores?|cities|city"
    "|函数|工具|插件|模型|产品|商品|项目|文件|数据集|公司|应用|服务|设备|课程|学校|类别|品牌|店铺|城市"
)
_OF_A_THING = re.compile(both(rf"[\"'](?:{_THINGS})[\"']\s?:\s?\[?\s?\{{[^{{}}\[\]]{{0,80}}\Z").encode(), re.IGNORECASE)
"""What stands before the name of a field in the object of what is no person."""
_CALLED_WITH = re.compile(
    rb"[\"']\s?,\s?(?:[\"']description[\"']\s?:\s?[\"'][^\"']{0,160}[\"']\s?,\s?)?"
    rb"[\"'](?:arguments|parameters|input_?schema|kwargs)[\"']\s?:",
    re.IGNORECASE,
)
"""What stands after the name of a function."""
_OF_ANYTHING = frozenset(word.encode() for way in ("name", "contact", "客户") for word in spelled(way))
"""Names of fields that people have, and things as well."""
_NO_PERSON = re.compile(rf"{_HAN}{{4,}}|[^\w\n]*[a-z].*|.*[0-9].*", re.DOTALL)
"""What is rather called so in such a field: long in 汉字, without a capital, numbered."""
_NOWHERE = re.compile(rb"[!-~]*[0-9:/@._\\][!-~]*")
"""Addresses of machines and of memory, and paths."""
_LONGEST_NAME = 12
"""Bytes."""
_PLACEHOLDER = re.compile(
    r"[\s!-/:-@\[-`{-~—–·。，、？！]*|\s*(?:(?i:n/a|none|null|undefined|unknown|anonymous)|nan|NaN|无|暂无|没有|未知|不详|未填写|匿名"
    rf"|<\|[\w-]+\|>|</?(?:[a-z_]+|[A-Z_]+)>|\[[A-Z_]+\]|\$?\{{[^{{}}]*\}}|\{{\{{[^{{}}]*\}}\}}"
    rf"|{_HAN}{{1,2}}(?:某{{1,2}}|[xX×○〇]{{1,3}})(?:{both(TITLES)})?|[^\s*＊]{{0,3}}[*＊]{{1,6}}[^\s*＊]{{0,3}})\s*"
)
"""What stands in a field where nothing is known: signs alone, words for it, tokens of models, templates, and names of
which others made `张某` or `张**`.
"""
_LONGEST_FIELD = 200
_FARTHEST = 240
_LONGEST_NAMED = 120
"""Bytes of a name with what stands between it and the word before it."""


def find(buffer: Buffer, words: Words, out: Candidates) -> None:
    """Whole fields that are called `name`, `姓名`, `address`, …; names after such a word or before a title."""
    if not out.wanted & {"PERSON", "ADDRESS"} or not len(buffer.areas.starts):
        return
    named = words.of_names(buffer.areas, whole=True)
    short = (buffer.areas.ends - buffer.areas.starts <= _LONGEST_FIELD) & (buffer.areas.ends > buffer.areas.starts)
    for kind, word in (("PERSON", "name"), ("ADDRESS", "address")):
        whole = np.flatnonzero(short & ((named & BITS[word]) > 0))
        if kind in out.wanted:
            whole = whole[[_is_somebodys(kind, buffer, index) for index in whole.tolist()]]
        out.add(kind, buffer.areas.starts[whole] + MARGIN, buffer.areas.ends[whole] + MARGIN, 0.7)
    if "PERSON" in out.wanted:
        _in_texts(buffer, words, out, short & ((named & BITS["name"]) > 0))
    places.find(buffer, words, out)


def _is_somebodys(kind: str, buffer: Buffer, area: int) -> bool:
    """Nothing tells it but what a pseudonym has, too: the form of the value, and what stands around its field."""
    start, end, name, name_end = (int(column[area]) for column in buffer.areas)
    content = buffer.bytes
    value = content[start:end].tobytes()
    if _PLACEHOLDER.fullmatch(value.decode()):
        return False
    if kind == "ADDRESS":
        return not _NOWHERE.fullmatch(value)
    if content[name:name_end].tobytes().lower() in _OF_ANYTHING and _NO_PERSON.fullmatch(value.decode()):
        return False
    before, after = content[max(0, name - 1 - _FARTHEST) : max(0, name - 1)], content[end : end + _FARTHEST]
    return not (_NOBODY.fullmatch(value) or _OF_A_THING.search(before.tobytes()) or _CALLED_WITH.match(after.tobytes()))


def _in_texts(buffer: Buffer, words: Words, out: Candidates, decided: Flags) -> None:
    """`decided`: areas that are somebody's or not as a whole, by the name of their field."""
    content = buffer.text
    some = np.flatnonzero(words.bits & (BITS["name"] | BITS["role"] | BITS["title"]))
    ends, longest = np.unique(words.ends[some], return_index=True)
    some = some[longest]
    area = np.minimum(np.searchsorted(buffer.areas.ends, ends), len(buffer.areas.ends) - 1)
    free = ~(decided[area] & (ends < buffer.areas.starts[area]))
    some, ends, area = some[free], ends[free], area[free]
    limits = np.minimum(ends + _LONGEST_NAMED, buffer.areas.ends[area])  # of the word's area, or of its field's value
    columns = words.starts[some].tolist(), ends.tolist(), limits.tolist(), words.bits[some].tolist()
    over = 0
    for start, end, limit, bits in zip(*columns, strict=True):
        if end <= over:  # a word within a name announces nothing
            continue
        after = content[end:limit].decode(errors="ignore")
        if place := _told(content, start, end, bits, after):
            first, last = (end + len(after[:offset].encode()) for offset in place)
            over = last
            out.add_one("PERSON", first + MARGIN, last + MARGIN, 0.6)
    _titled(content, out)


def _told(content: bytes, start: int, end: int, bits: int, after: str) -> tuple[int, int] | None:
    """Where in `after`, which follows the word of these bits, it tells a name."""
    if content[end - 1] >= 0x80:
        found = _TOLD.match(after)
        return found.span(1) if found else latin_names.beside(after)
    word = content[start:end].decode()
    before = content[max(0, start - latin_names.LONGEST_BEFORE) : start].decode(errors="ignore")
    if bits & BITS["title"]:
        return latin_names.addressed(before, word, after) if word.istitle() else None
    if bits & BITS["role"]:
        return latin_names.in_a_role(before, after)
    whole = before + word
    return latin_names.after_a_label(whole[:-4], after)


def _titled(content: bytes, out: Candidates) -> None:
    for title in _TITLE.finditer(content):
        window = content[max(0, title.start() - _LONGEST_NAME) : title.start()].decode(errors="ignore")
        found = list(_TITLED.finditer(window))
        if found:
            name = found[-1][0].encode()
            out.add_one("PERSON", title.start() - len(name) + MARGIN, title.start() + MARGIN, 0.6)
