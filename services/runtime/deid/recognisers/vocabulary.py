"""The words that speak for types, by classes, and the numbers of the classes."""

from __future__ import annotations

from typing import Final

_GLUED = tuple(f"{before}password" for before in ("pg", "db", "my", "root", "user", "admin", "new", "old", "login"))
_SPACED = tuple(f"密{blank}码" for blank in (" ", "  ", "\u3000", "\u3000\u3000"))

_CONTACT = tuple(f"contact{sign}{number}" for sign in ("", " ", "_") for number in ("no", "number"))

_ADDRESSES = tuple(
    f"{which}{sign}address"
    for which in ("home", "street", "shipping", "billing", "mailing", "delivery", "postal", "residential")
    for sign in ("", "_", "-", " ")
) + tuple(f"address{line}{number}" for line in ("", "line", "_line_", "_line", " line ") for number in "12")

_BIRTH = (
    "出生", "出生日期", "出生年月", "出生年月日", "生日", "birth", "date of birth", "date_of_birth", "dateofbirth",
    "birth date", "birth_date", "birthdate", "dob", "birthday",
)  # fmt: skip

PERSONS: Final = frozenset({
    "first", "last", "full", "given", "family", "middle", "maiden", "real", "legal", "customer", "cust", "client",
    "patient", "employee", "student", "contact", "recipient", "receiver", "consignee", "sender", "buyer", "payee",
    "payer", "cardholder", "holder", "guest", "passenger", "applicant", "candidate", "member", "teacher", "doctor",
    "guardian", "parent", "father", "mother", "spouse", "husband", "wife", "sur", "fore",
})  # fmt: skip
"""Before `name` where it is a person's."""

WORDS: Final[dict[str, tuple[str, ...]]] = {
    "phone": (
        "手机", "电话", "联系方式", "致电", "来电", "拨打", "热线", "座机", "固话", "传真", "短信", "phone", "mobile",
        "tel", "telephone", "cell", "cellphone", "fax", "call", "sms", "phoneno", "phonenumber", "mobileno",
        "mobilenumber", "telno", *_CONTACT,
    ),
    "id": ("身份证", "身份号", "证件号", "证号", "公民身份", "身份号码", "身分证", "id_card", "idcard", "id card",
           "identity", "sfz", "id_no", "idno", "id number", "id_number", "idnumber", "cert_no", "certno", "citizen"),
    "card": ("银行卡", "卡号", "账号", "帐号", "账户", "帐户", "储蓄卡", "借记卡", "信用卡", "打款", "转账", "汇款",
             "开户",
             "card", "bank", "account", "credit", "visa", "mastercard"),
    "account": ("卡号", "账号", "帐号", "账户", "帐户", "银行卡", "信用卡", "储蓄卡", "借记卡", "card number",
                "card_number", "cardnumber", "card no", "card_no", "cardno", "bank card", "bank_card", "bankcard",
                "account", "account number", "account_number", "accountnumber", "account no", "account_no",
                "accountno"),
    "uscc": ("信用代码", "社会信用", "统一代码", "税号", "纳税人", "营业执照", "uscc", "credit_code", "tax_no"),
    "passport": ("护照", "passport"),
    "permit": ("通行证", "回乡证", "港澳", "来往内地", "permit"),
    "tw": ("台胞证", "台湾居民", "大陆通行证", "台湾通行证"),
    "imei": ("imei", "串号", "设备号", "设备码"),
    "qq": ("qq", "扣扣", "企鹅号"),
    "wechat": ("微信", "wechat", "weixin", "wxid", "vx", "wx", "薇信", "威信", "徽信", "v信", "加v", "加我v",
               "加微", "加我微"),
    "plus": ("+v", "➕v"),
    "wxid": ("wxid",),
    "ssn": ("ssn", "social security", "social_security", "socialsecurity", "社会安全", "社会保障号", "itin", "tax id",
            "tax_id", "taxid", "taxpayer id", "taxpayer_id", "taxpayer identification"),
    "iban": ("iban",),
    "birth": _BIRTH,
    "date": (*_BIRTH, "日期", "签发", "签发日", "有效期", "有效期限", "有效期至", "有效期自", "到期", "到期日", "生效",
             "生效日", "截至", "截止", "date", "issued", "issued on", "expires", "expires on", "expiry", "expiration",
             "valid until", "valid from", "valid through", "valid thru"),
    "plate": ("车牌", "牌照", "车号", "plate"),
    "secret": ("password", "passwd", "pwd", "secret", "api_key", "apikey", "api-key", "access_key", "access key",
               "secret_key", "secretkey", "accesskey", "appkey", "app_key", "密码", "口令", "密钥",
               "private_key", "api key", "secret key", "accountkey", "passphrase", "passcode", "秘钥", "私钥",
               "privatekey", "private key", *_SPACED,
               "client-key-data", "auth-key", "auth_key", "mch_key", "mchkey", "corpsecret", "appsecret", "sessionid",
               "jsessionid", "phpsessid", "csrftoken", "requirepass", "masterauth", "encryptionkey", "signingkey",
               "aeskey", "encodingaeskey", *_GLUED),
    "token": ("token",),
    "password": ("password", "passwd", "pwd", "passcode", "密码", "口令", *_SPACED, "identified by", "requirepass",
                 "masterauth", *_GLUED),
    "pass": ("pass", "psw"),
    "short": ("pw", "psk"),
    "key": ("_key", "-key"),
    "authorization": ("authorization",),
    "pin": ("pin",),
    "client": ("mysql", "mysqldump", "mysqladmin", "mysqlimport", "mariadb"),
    "login": ("docker login", "podman login", "nerdctl login", "sshpass", "mongosh", "mongodump", "mongorestore"),
    "redis": ("redis-cli",),
    "curl": ("curl",),
    "wandb": ("wandb login",),
    "option": ("--token", "--api-key", "--api_key", "--apikey", "--access-token", "--auth-token", "--secret-key"),
    "keys": ("ak", "sk", "access_key_id", "access-key-id", "accesskeyid"),
    "bearer": ("bearer", "basic"),
    "mac": ("mac", "hwaddr", "物理地址", "硬件地址"),
    "name": ("name", *(f"{whose}{sign}name" for whose in sorted(PERSONS) for sign in ("", "_", "-", " ")),
             "姓名", "联系人", "收件人", "收货人", "客户姓名", "客户", "用户姓名", "contact", "联系人姓名", "患者",
             "学生姓名", "员工姓名", "真实姓名", "叫", "我叫"),
    "role": ("customer", "patient", "client", "employee", "student", "contact"),
    "title": ("mr", "mrs", "ms", "dr", "prof", "dear"),
    "address": ("address", "地址", "住址", "家庭住址", "收货地址", "联系地址", "户籍地址", "现住址", "住在", "通讯地址",
                "详细地址", "家庭地址", "居住地址", "收件地址", "送货地址", "家住", *_ADDRESSES),
    "place": ("street", "road", "city", "town", "village", "district", "county", "province", "state", "zip", "zipcode",
              "zip_code", "postcode", "postalcode", "postal_code", "line1", "line2", "building", "detail", "省", "省份",
              "市", "城市", "区", "区县", "县", "街道", "门牌号"),
    "isbn": ("isbn",),
    "doi": ("doi",),
    "schema": ("xmlns", "schemalocation", "$schema"),
    "doctype": ("!doctype",),
    "net": ("ip", "来源", "地址", "登录", "访问", "host", "server", "dns", "gateway", "网关", "服务器", "主机"),
    "other": ("订单", "单号", "流水", "快递", "运单", "版本", "编号", "批次", "型号", "合同号", "金额", "数量", "邮编",
              "价格", "余额", "流水号", "条码", "序号", "order", "tracking", "version", "invoice", "serial", "amount",
              "price", "sku", "build", "firmware", "release"),
    "version": ("版本", "version", "build", "firmware", "release"),
    "product": ("jdk", "jre", "java", "python", "oracle", "mysql", "mariadb", "unity", "intellij", "pycharm",
                "webstorm", "goland", "clion", "datagrip", "phpstorm"),
}  # fmt: skip

BITS: Final = {name: 1 << index for index, name in enumerate(WORDS)}
