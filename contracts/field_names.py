"""What may go on record as the name of a field. Where a table has no header, a value stands in the place of a name."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# What looks like a number of somebody and is none: days, and years.
_DAY = re.compile(
    r"(?<!\d)(?:19|20)\d\d(?:(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])|([-/._年])\d{1,2}[-/._月]\d{1,2}日?)?(?!\d)"
)
_NUMBER = re.compile(r"\d(?:[-\s.()/·]{0,2}\d){6}")
_PROVINCES = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新使"
_OTHER = re.compile(
    rf"""
    [^\s@]@[^\s@]                                               # addresses, of mail, pages and networks
    | :// | \bwww\.[^\s.]+\.
    | (?<![\d.])\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?![\d.])
    | (?:[0-9A-Fa-f]{{2}}[:-]){{5}}[0-9A-Fa-f]{{2}}
    | (?<![0-9A-Za-z])(?:                                       # keys of services
        (?:gh[a-z]|gsk|hf|npm)_[0-9A-Za-z]{{20}} | (?:sk|glpat|pypi|xox[a-z])-[\w-]{{16}}
        | (?:sk_live|sk_test|rk_live|github_pat)_\w{{10}} | (?:AKIA|ASIA|AKID|AKLT|LTAI|AIza|eyJ)[\w-]{{10}}
        | [0-9A-Fa-f]{{24}}
      )
    | [{_PROVINCES}][A-HJ-NP-Z][-·•.\s]?(?=[A-Z]{{0,5}}\d)[0-9A-Z]{{5,6}}
    | (?:微信|密码|口令|密钥|护照)[号码是为\s:=]{{0,4}}
      (?!sha|md5|aes|rsa|[A-Za-z_]+\d?(?![!-~]))(?=[!-~]{{0,20}}\d)[!-~]{{6}}
    | (?:QQ|qq|扣扣)[号码是为\s:=]{{0,4}}\d{{5}}
    """,
    re.VERBOSE | re.ASCII,
)


@lru_cache(maxsize=4096)
def is_data(name: str) -> bool:
    """Whether it is rather somebody's than the name of a field. Names of people look like either, and are not told."""
    plain = unicodedata.normalize("NFKC", name)
    return has_number(plain) or _OTHER.search(plain) is not None


def has_number(name: str) -> bool:
    """Whether it has as many digits, in groups that may be a number's, as the shortest phone that is told as one."""
    return _NUMBER.search(_DAY.sub("x", unicodedata.normalize("NFKC", name))) is not None
