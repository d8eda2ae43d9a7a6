"""What a word announces in everyday sentences, code and configuration goes; code, templates and prose stay."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.keys import Keys

_ZH, _EN = (Deidentifier(policies.built_in()[policy], Keys(bytes(32))) for policy in ("zh-pii", "en-pii"))


def _one(by: Deidentifier, text: str, kind: str) -> None:
    """The value in braces is found, and nothing else, within strings of JSON, too; it comes back."""
    value = text[text.index("⟦") + 1 : text.index("⟧")]
    text = text.replace("⟦", "").replace("⟧", "")
    done = by.texts([text])
    assert [(pair.type, pair.original) for pair in done.mapping] == [(kind, value)]
    assert by.reverse(done.texts).texts == [text]
    for depth in (1, 2, 3):
        nested = by.texts([_nested(text, depth)], format="json")
        assert nested.mapping == done.mapping
        assert nested.texts == [_nested(done.texts[0], depth)]


def _nested(text: str, depth: int) -> str:
    for _ in range(depth):
        text = json.dumps({"content": text}, ensure_ascii=False)
    return text


@pytest.mark.parametrize(
    "text",
    [
        "My password is ⟦hunter22⟧", "the password is ⟦Summer2024!⟧ please reset", "login: bob / password ⟦Hunter2024⟧",
        "run it --password ⟦abc123def⟧", "pass=⟦hunter22⟧", "API Key: ⟦fa9c8e7d6b5a4938⟧", "密碼：⟦Abc12345⟧",
        "your API key is ⟦fa9c8e7d6b5a4938abcd⟧", 'set_cookie("token", "⟦abc123def456⟧")', "WiFi密码 ⟦abcd1234⟧",
        "账号 admin 密码 ⟦admin@2024⟧", "初始密码⟦Abc@1234⟧", "密码：“⟦Abc12345⟧”", "密码:「⟦Abc12345⟧」",
        "密码（⟦Abc12345⟧）",
        "密码改成⟦Abc12345⟧了", "密码已重置为 ⟦Abc12345⟧", "支付密码 ⟦8888⟧，勿告诉他人", "password: ⟦1234⟧",
        "I changed my password to ⟦hunter22⟧.", "密码 ⟦wang_1988⟧", "token := '⟦abc123def⟧'",
        "password = b'⟦hunter22⟧'", "token == '⟦abc123def⟧'",
        r"{\"password\":\"⟦abc123def⟧\"}", '"note":"password=⟦Abc123!x⟧","b":"c1 d2"', "password=⟦P@ss(w0rd)2⟧",
        "AccountKey=⟦Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq==⟧", "secret key: ⟦ab12cd34⟧",
        "password: str = '⟦hunter22⟧'", "token: ⟦sha256:abc123def456⟧", "IDENTIFIED BY '⟦Passw0rd!⟧'",
        "Cookie: sessionid=⟦38afes7a8⟧; path=/", "Set-Cookie: JSESSIONID=⟦0123456789ABCDEF0123456789ABCDEF⟧; Path=/",
        "Authorization: Token ⟦9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b⟧", "X-Auth-Key: ⟦9944b09199c62bcf⟧",
        "corpsecret=⟦aBcD1234eFgH⟧", "MCH_KEY=⟦aBcD1234eFgHaBcD⟧", "requirepass ⟦Abc@1234⟧",
        "PrivateKey = ⟦yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=⟧",
        "私钥 ⟦5Kb8kLf9zgWQnogidDA76MzPL6TsZZY36hWXMssSzNydYXYB9KF⟧",
        '.password("⟦Tr0ub4dor3⟧")', "SELECT PASSWORD('⟦Tr0ub4dor3⟧')", 'ds.setPassword("⟦Tr0ub4dor3⟧");',
        "Bearer ⟦abcdefgh12345678⟧", "Authorization: Bearer ⟦Ab3-model-2024-key1⟧", "basic ⟦YWRtaW46UzNjcjN0⟧",
        "password for root: ⟦S3cret!x⟧", "the password for the db is ⟦Hunter2!⟧", "password (db): ⟦abc12345⟧",
        "The password for my account on github is: ⟦Hunter2x⟧", "密码（数据库）：⟦abc12345⟧",
        "密码(数据库)是⟦abc12345⟧",
        "密码（支付）：⟦482193⟧", "mysql -u root -p⟦S3cretPass1⟧", "mysqldump -h db -p'⟦S3cret Pass1⟧' shop",
        "curl -u admin:⟦Secr3tPw!⟧ https://", "curl -sX POST -u 'admin:⟦Secr3tPw!⟧' -d x", "curl -uadmin:⟦Secr3tPw⟧ x",
        "curl -X PUT \\\n  --user admin:⟦Secr3tPw⟧ x", "docker login -u x -p ⟦Secr3tPw⟧ registry.example.com",
        "sshpass -p '⟦Secr3t Pw⟧' ssh root@host", "sshpass -p⟦Secr3tPw⟧ scp a b", "mongosh -u admin -p ⟦Secr3tPw⟧ shop",
        "redis-cli -h h -p 6379 -a ⟦Secr3tPw⟧ ping", "hf auth login --token ⟦abcd1234efgh⟧",
        "wandb login --relogin ⟦0123456789abcdef0123456789abcdef01234567⟧", "ALIYUN_SK=⟦Kx8fAbCdEfGhIjKlMnOp⟧",
        'export HW_AK="⟦KX8FABCDEFGHIJKLMNOP⟧"', "AccessKeyId: ⟦AbCd5fGhIjKlMnOp⟧", '{"sk":"⟦Kx8fAbCdEfGhIjKlMn⟧"}',
        "AK/SK：⟦AbCd5fGhIjKlMnOp⟧", "密码 是 ⟦Aa123456⟧", "密码 为 ⟦Aa123456⟧", "密码 为：⟦Aa123456⟧",
        "password: ⟦bXlwYXNzd29yZA==⟧", "token: ⟦c2VjcmV0LXRva2VuLTEyMw==⟧", "password: ⟦cEBzc3cwcmQxMjM=⟧\nuser: x",
        "password: ⟦cEBzc3cwcmQxMjM=⟧\n'user': x", r"password: ⟦cEBzc3cwcmQxMjM=⟧\n\"user\": x",
        "data:\n  username: YWRtaW4=\n  api-key: ⟦bXlwYXNzd29yZA⟧\n  x: eQ==", "password: ⟦Tr0ub=Admin99⟧",
        "password: ⟦Abc=12345678⟧", "password: str='⟦hunter22⟧'", 'password: String= "⟦hunter22⟧"',
        "'password' => '⟦Zx9!Vb7Nmq8⟧'", ':password => "⟦Zx9!Vb7Nmq8⟧"', '"api_key"=>"⟦Zx9!Vb7Nmq8⟧"',
        'password->"⟦Zx9!Vb7Nmq8⟧"', r'{\"password\"=>\"⟦Zx9!Vb7Nmq8⟧\"}',
        "- name: MYSQL_ROOT_PASSWORD\n  value: ⟦Zx9cVb7Nmq8⟧", "pw: ⟦Zx9cVb7Nmq8⟧", "psw:⟦Zx9cVb7Nmq8⟧",
        'variable "db_password" {\n  type = string\n  default     = "⟦Zx9cVb7Nmq8⟧"\n}', 'psk="⟦Zx9cVb7Nmq8⟧"',
        "passcode: ⟦Zx9cVb7Nmq8⟧", "passcode: ⟦482193⟧", "密 码：⟦Zx9cVb7Nmq8⟧", "密\u3000\u3000碼：⟦Zx9cVb7Nmq8⟧",
        "Authorization: ⟦9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b⟧", "{'Authorization': '⟦9944b09199c62bcf9418ad84⟧'}",
        'encryption_key = "⟦Zx9cVb7Nmq8aBcDe⟧"', 'JWT_SIGNING_KEY="⟦Zx9cVb7Nmq8aBcDe⟧"',
        r'{\"aes_key\": \"⟦Zx9cVb7Nmq8aBcDe⟧\"}', '"EncodingAESKey": "⟦Zx9cVb7Nmq8aBcDe⟧"',
        '<entry key="db.password">⟦Zx9cVb7Nmq8⟧</entry>', '<string name="api_key">⟦Zx9cVb7Nmq8⟧</string>',
        "root:⟦Passw0rd⟧@tcp(db:3306)/shop", 'dsn := "root:⟦P@ss:w0rd1⟧@unix(/tmp/mysql.sock)/shop"',
        "db.example.com:5432:shop:user:⟦Passw0rd1⟧", "localhost:6432:*:postgres:⟦Passw0rd1⟧\nother:1:2:3:pass5word",
        '"access_token": "⟦abc12345def67890⟧"', '"password": "⟦string123⟧"',
        "PIN is ⟦4821⟧", "PIN: ⟦4821⟧", "PIN码：⟦4821⟧", "Your pin code is ⟦4821⟧.",
        '<property name="password" value="⟦s3cr3tPw9⟧"/>', '- name: DB_PASSWORD\n  value: "⟦Tr0ub4dor99⟧"',
        'conn.password("⟦Hunter2xx99⟧")', 'os.getenv("DB_PASSWORD", "⟦Hunter2xx98⟧")', "password\t⟦Hunter2xx93⟧",
        'redis.set("token", "⟦Hunter2xx97⟧")', 'mysql -u root -p"⟦Hunter2xx96⟧" db', 'password:\n  "⟦Hunter2xx92⟧"',
        '<input type="password" value="⟦Hunter2xx93⟧">', '<add key="Password" value="⟦Hunter2xx93⟧"/>',
        'password = "⟦)-2!%$)&bYa1!⟧"', "password = '⟦+))_aXa111a1!⟧'", '{"password":"⟦]aB1-cd2⟧"}',
        'define("DB_PASSWORD", "⟦Hunter2xx93⟧")', '"Key": "DB_PASSWORD", "Value": "⟦Hunter2xx93⟧"',
    ],
)  # fmt: skip
def test_a_secret(text: str) -> None:
    for engine in (_ZH, _EN):
        _one(engine, text, "API_KEY")


@pytest.mark.parametrize(
    "text",
    [
        '"eos_token": "<|im_end|>"', '"eos_token": "<|endoftext|>",', '"eos_token":"<|eot_id|>"', '"t_token": "[MASK]"',
        "token = self.next_token()", "token = self.token2", "token = tokens[0]", "password: Optional[str] = None",
        'String password = request.getParameter("password");', 'password = os.environ["PASSWORD"]',
        "password = models.CharField(max_length=128)", "const token = localStorage.getItem('token');",
        "password=${DB_PASSWORD}", "password=$DB_PASSWORD", "PWD: $cwd)\\n1", "token: &lt;token1&gt;",
        "password=<your_password>", "WHERE password=:password",
        "password: {{ .Values.password1 }}", "token: Vec<u8>", "token: *const u8", "token: uint64,", "token=%s&id=%d",
        'api_key = "your-api-key"', 'print(f"Token: {token}")', "basic knowledge_of_programming_2",
        '"".join(token: "")',
        "token = tokenizer.encode(text)[0]", "token = line.split()[0]", "access_token = sys.argv[1]",
        "token = secrets.token_hex(16)", "const token = req.headers.authorization?.split(' ')[1];",
        "token = stack.pop(-1)", "token = self.next(1)", "token = doc.sents[0]", "token: tok.next(1)",
        "密码2023版", "password 2020", "password must be reset", "the password is required!",
        "The token is well-known.",
        "token: pre-trained", "密码是user-defined", "密码SHA256加密", "password hashed as base64",
        "token ids of length 1024",
        "password protected area51", "pass the test2023x on", '{"token":{"id":"a1b2"}}', "token = ''.join(x1, y2)",
        "密码学2023", "口令是必填项", "password=/run/secrets/db_password", "PWD=/home/user1/project2",
        "password: !vault |", 'print("password:", password2, "x")',
        'print("password: "+pw12+", user: "+u)', '"password: ").format2("x1")', 'f("pwd=",pw12,"x")', 'f("pwd=")+pw12',
        "u = '?token=' + tok2 + 'a b1'",
        "check_password(pw): token1 = x", "password for {user}: {pw1}", "password for the user is required!",
        "password (optional): string", "password of length 8", "the password for this is in the vault 2",
        "mysql -u root -p shopdb1", "docker run mysql -p3306:3306", "mysql -port3306x", "mysql -h x; cc -pthread1",
        "docker run -p 8080x:80a nginx1", "docker login && docker run -p 8080x:80a nginx1", "curl -u user:password x1",
        "curl -u $USER:$PASS x1", "the curl of a1:b2c3d4e5f", "redis-cli -h a -n 1x keys*",
        "sshpass -f file1 ssh -p 2222 h",
        "--token $HF_TOKEN", "--token limit1", "the AK-47 and SK: Hynix2024", "SK: alpha_beta_gamma_delta_12",
        "sk = AttentionKernelVersion2.run(x)", "密码 为空时 Aa123456", "密码 是 必填项1",
        "the pin is 1000 mm long", "pin = 1024", "PIN 17", "PIN is 12",
        "We use Basic Llama-3.1-8B-Instruct as baseline", "the bearer Qwen2.5-72B-Instruct-AWQ",
        "token Qwen2-72B-Instruct-v2-128k-2024", 'getPassword("${db1}")', "csrftoken is missing",
        "sessionid = request.id2",
        "'password' => env('DB_PASSWORD2', ''),", "'password' => ['required', 'min:8']", "map(token =>token.id2)",
        "map(token => fetch2(token))", "password: str=get_password2()", "password: str = None, x2: int = 3",
        "the token is GPT-4o here", "token = r'(?:[%s]+|x)'", 'p = "pwd: "+pw2+"x"',
    ],
)  # fmt: skip
def test_code_and_prose_are_no_secrets(text: str) -> None:
    for engine in (_ZH, _EN):
        assert engine.texts([text]).texts == [text]
        for depth in (1, 2, 3):
            assert engine.texts([_nested(text, depth)], format="json").texts == [_nested(text, depth)]


def test_a_pair_of_keys() -> None:
    text = "AK/SK：AbCd5fGhIjKlMnOp / Kx8fAbCdEfGhIjKlMn"
    for engine in (_ZH, _EN):
        done = engine.texts([text])
        assert [pair.original for pair in done.mapping] == ["AbCd5fGhIjKlMnOp", "Kx8fAbCdEfGhIjKlMn"]
        assert engine.reverse(done.texts).texts == [text]


@pytest.mark.parametrize(
    "text",
    [
        '{"eos_token": "<|im_end|>", "mask_token": "[MASK]"}', '{"password": "${DB_PASSWORD}"}',
        '{"token": "end-of-text"}',
        '{"sort_key": "Zx9cVb7Nmq8aBcDe"}', '{"_key": "Zx9cVb7Nmq8aBcDe"}',
        '{"password": "os.environ[\\"PW1\\"]"}', '{"password": "process.env.DB_PASSWORD1"}',
        '{"password": "请输入密码（6-16位）"}', '{"password": "密码长度 8 位"}', '{"password": "min_length_8"}',
        '{"password": "********"}', '{"password": "••••••"}', '{"pwd": "xxxxxx"}',
        '{"password": "密码"}', '{"password": "Password"}', '{"password": "Enter your password"}',
        '{"password": "varchar(255)"}', '{"password": "required|min:8"}', '{"password": "string"}',
        '{"tokens": ["COVID-19", "19th-century", "$5.00m", "GPT-4-turbo", "Qwen2.5-72B-Instruct"]}',
        '{"token": "Hello!"}', '{"token": "gpt-4o", "model": "gpt-4o"}', '{"pad_token": "iPhone15Pro"}',
        '{"api_key": "your-api-key"}', '{"password": "<your_password>"}',
    ],
)  # fmt: skip
def test_fields_without_secrets(text: str) -> None:
    for engine in (_ZH, _EN):
        assert engine.texts([text], format="json").texts == [text]


@pytest.mark.parametrize(
    "text",
    [
        "微信账号：⟦zhangsan88⟧", "微信号码：⟦zhang_san88⟧", "我微信（⟦zhangsan88⟧）", "微信【⟦zhangsan88⟧】",
        "微信“⟦zhangsan88⟧”",
        "微信搜 ⟦zhangsan88⟧", "微信公众号：⟦gh_abcdef123456⟧", "wechat_id: ⟦zhangsan88⟧", "微信号⟦zhangsan⟧",
        "微信：⟦zhangsan⟧",
        "微信ID ⟦zhangsan⟧", "wxid_⟦k3j4h5g6f7d8s9⟧: 在吗", "from=wxid_⟦k3j4h5g6f7d8s9⟧",
        '{"from":"wxid_⟦abcdefg1234567⟧"}',
        "id:wxid_⟦abcdefg1234567⟧", "微信号 wxid_⟦abcdefg1234567⟧", "加我微信 ⟦zhang_san⟧", "我的微信是 ⟦zhang_san⟧",
        "微信⟦paytony88⟧", "微信⟦mac_lee88⟧", "微信号：⟦Pay2023⟧",
        "手机微信同号 ⟦wx_jianguo88⟧", "微信同号：⟦wx_jianguo88⟧",
        "加我V：⟦lao_wang888⟧", "+V ⟦lao_wang888⟧", "有意+v：⟦lao_wang888⟧", "＋Ｖ：⟦laowang888⟧", "➕V ⟦laowang888⟧",
        "威信：⟦lao_wang888⟧", "徽信 ⟦lao_wang888⟧", "加微 ⟦lao_wang888⟧", "加我微：⟦laowang⟧",
        "微信就是 ⟦wx_abc123⟧", "微信还是⟦wx_abc123⟧",
    ],
)  # fmt: skip
def test_a_wechat_id(text: str) -> None:
    _one(_ZH, text, "WECHAT")


@pytest.mark.parametrize(
    "text",
    [
        "微信Android版", "微信 iPhone 版", "微信iPhone15版", "微信Python机器人", "微信Windows版", "微信unionid",
        "微信 access_token",
        "微信(WeChat)", "WeChat supports payments", "vx = velocity * cos(theta)", "wx weather", "微信identity",
        "微信Pay2023", "WeChat Pay2023", "微信v8Beta2024", "微信 SDK2024", "微信PayV3接口",
        "微信公众号Python之禅", "wxid_short", "微信小程序 mini-program",
        "威信扫地", "加微 please", "out = q + k+v: tensor_12", "(q)+v hidden_12", "c = a+v = hidden12", "+v1: hidden12",
        "微信同号 please add me", "微信就是 convenient", "微信就iPhone15可用",
    ],
)  # fmt: skip
def test_words_are_no_wechat_ids(text: str) -> None:
    assert _ZH.texts([text]).texts == [text]


@pytest.mark.parametrize(
    "text",
    [
        "车牌 ⟦军V12345⟧", "車牌：⟦軍V·12345⟧", "车牌：⟦使014578⟧", "车牌号 ⟦使014·578⟧", "车牌号 WJ⟦京12345⟧",
        "车牌号：WJ ⟦京1234X⟧",
        "车牌号 ⟦VA12345⟧", "车牌号码是 ⟦VA·12345⟧", "车牌 民⟦航A1234⟧", "车牌 ⟦沪A1234⟧领", '"plate":"⟦VA12345⟧"',
    ],
)  # fmt: skip
def test_a_plate_of_another_series(text: str) -> None:
    _one(_ZH, text, "CN_PLATE")


@pytest.mark.parametrize(
    "text",
    [
        "部门 军V12345", "型号 VA12345", "车牌识别 VA12345", "牌照 NO12345", "车牌照片 IMG12345", "车牌使用10年",
        "车号 12345",
        "车牌号 WJ1234", "使014578元",
    ],
)  # fmt: skip
def test_codes_are_no_plates(text: str) -> None:
    assert _ZH.texts([text]).texts == [text]


@pytest.mark.parametrize(
    "key",
    [
        "SG.⟦ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf09kqeF8tAmbihYzrnopKc1s5cr⟧", "ya29.⟦a0AfH6SMBx1234567890abcdef⟧",
        "dop_v1_⟦0123456789abcdef0123456789abcdef⟧", "whsec_⟦MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw⟧",
        "xapp-⟦1-A0123456789-1234567890123-abcdef⟧", "GOCSPX-⟦AbCdEfGhIjKlMnOpQrStUvWxYz12⟧",
        "bce-v3/ALTAK-⟦IS6uG1qXcgDDP9RrmjYD9/ede55d516092e0ca5e9041eab19455df12c7db5b⟧",
        "dckr_pat_⟦AbCdEfGhIjKlMnOpQrStUvWxYz1⟧", "shpat_⟦0123456789abcdef0123456789abcdef⟧",
        "hvs.⟦CAESIJlU02LQZq0123456789abcdefghijkl⟧", "ATATT3⟦xFfGF0abcdefghijklm_nop0123456789=8A9B0C1D⟧",
        "nvapi-⟦AbCdEfGhIjKlMnOpQrStUvWx-Yz1234567890⟧", "pplx-⟦AbCdEfGhIjKlMnOpQrStUvWxYz1234567890⟧",
        "tvly-⟦dev-AbCdEfGhIjKlMnOpQrStUvWxYz123456⟧", "glsa_⟦AbCdEfGhIjKlMnOpQrStUvWxYz123456_0123abcd⟧",
        "NRAK-⟦ABCDEFGHIJKLMNOPQRSTUVWXYZ1⟧", "xai-⟦AbCdEfGhIjKlMnOpQrStUvWxYz1234567890⟧",
        "AGE-SECRET-KEY-1⟦QQPQZXC0123456789ABCDEFGHJKLMNPQRSTUVWXYZ0123456789ABCDEF⟧",
        "r8_⟦AbCdEfGhIjKlMnOpQrStUvWxYz1234567890⟧", "⟦0123456789abcdef0123456789abcdef.AbCdEfGh12345678⟧",
    ],
)  # fmt: skip
def test_keys_of_services(key: str) -> None:
    plain = key.replace("⟦", "").replace("⟧", "")
    for engine in (_ZH, _EN):
        done = engine.texts([f"use {plain} here"])
        [pair] = done.mapping
        assert (pair.type, pair.original) == ("API_KEY", plain)
        assert pair.pseudo.startswith(key[: key.index("⟦")])
        assert engine.reverse(done.texts).texts == [f"use {plain} here"]


@pytest.mark.parametrize(
    "frame", ["password={}", "密码 {}", "the password is {}", "密码改成{}了", '"secret": "{}"', "pass={}"]
)
@settings(max_examples=30, deadline=None)
@given(value=st.from_regex(r"[A-Za-z]{4}[A-Za-z0-9@#!]{1,20}[0-9]{2}", fullmatch=True))
def test_any_secret_goes_and_comes_back(frame: str, value: str) -> None:
    text = frame.format(value)
    for engine in (_ZH, _EN):
        done = engine.texts([text])
        assert value in [pair.original for pair in done.mapping]
        assert engine.reverse(done.texts).texts == [text]
