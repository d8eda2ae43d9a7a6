"""Chinese in both scripts: traditional characters for those that the words and expressions here are written with."""

from __future__ import annotations

from itertools import product
from typing import Final

_PAIRS = (
    "业業 严嚴 个個 为為 乔喬 乡鄉 亿億 众眾 价價 会會 传傳 余餘 储儲 关關 内內 冯馮 刘劉 务務 "
    "动動 区區 医醫 单單 卢盧 县縣 变變 台臺 台台 号號 叶葉 吕呂 吴吳 员員 国國 备備 学學 孙孫 宝寶 "
    "实實 届屆 层層 币幣 师師 帐帳 应應 开開 张張 录錄 总總 户戶 执執 护護 挂掛 换換 数數 机機 "
    "杨楊 条條 来來 栋棟 楼樓 汇匯 汤湯 温溫 湾灣 热熱 现現 电電 监監 码碼 种種 税稅 签簽 系繫 "
    "纳納 线線 组組 经經 统統 编編 罗羅 网網 职職 联聯 肖蕭 苏蘇 营營 蒋蔣 订訂 讯訊 许許 记記 "
    "设設 访訪 证證 话話 谢謝 谭譚 账賬 账帳 货貨 质質 贺賀 贾賈 赖賴 赵趙 车車 转轉 运運 还還 "
    "邓鄧 邮郵 邹鄒 郑鄭 钟鍾 钟鐘 钥鑰 钱錢 银銀 闫閆 问問 间間 阅閱 陆陸 陈陳 韦韋 韩韓 项項 "
    "顾顧 领領 额額 马馬 鹅鵝 黄黃 龙龍 龚龔 万萬 证証 为爲 兰蘭 济濟 广廣 军軍 欧歐 阳陽 诸諸 "
    "于於 产產 课課 类類 别別 铺鋪 据據 拨撥 递遞"
)
_TRADITIONAL: dict[str, str] = {}
for _pair in _PAIRS.split():
    _TRADITIONAL[_pair[0]] = _TRADITIONAL.get(_pair[0], "") + _pair[1]

PROVINCES: Final = dict(zip("沪云辽鲁苏赣晋陕闽贵粤宁琼", "滬雲遼魯蘇贛晉陝閩貴粵寧瓊", strict=True))
"""Of licence plates, those that are written in two ways."""


_SIMPLIFIED = str.maketrans(
    {traditional: character for character, every in (_TRADITIONAL | PROVINCES).items() for traditional in every}
)


def simplified(text: str) -> str:
    return text.translate(_SIMPLIFIED)


def both(expression: str) -> str:
    """A regular expression in either script; no character of two spellings may stand in a set."""
    return "".join(
        f"(?:{'|'.join(spelled(character))})" if character in _TRADITIONAL else character for character in expression
    )


def spelled(text: str) -> list[str]:
    """Each way to write it in one script or the other, all of one length in UTF-8."""
    traditional = product(*(_TRADITIONAL.get(character, character) for character in text))
    return list(dict.fromkeys([text, *map("".join, traditional)]))
