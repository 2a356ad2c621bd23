"""Asks Hugging Face's Rust library what a tokenizer learns and how it encodes, and stores its answers for the tests.

Writes test/fixtures/tokenizer/{odd,incomplete,shipped}.json. Run it again whenever data/train.jsonl changes:

    python3 -m venv .build/python
    .build/python/bin/pip install 'tokenizers>=0.23,<0.24'
    .build/python/bin/python scripts/make-tokenizer-fixture.py
"""

import hashlib
import json
import random
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "test" / "fixtures" / "tokenizer"
TRAIN_DATA = ROOT / "data" / "train.jsonl"
SPECIALS = ["<bos>", "<eos>", "<pad>", "<unk>"]


def main():
    FIXTURES.mkdir(parents=True, exist_ok=True)
    texts = odd_texts()
    odd = train(texts, vocab_size=600)
    save("odd.json", {"vocab_size": 600, "min_frequency": 0, "texts": texts, **learnt(odd), "ids": encode(odd, texts)})
    # As somebody else may make one: only the bytes that its texts contain, so that others become <unk>. Same texts as in odd.json.
    incomplete = train(texts[:20], vocab_size=200, min_frequency=2, alphabet=[])
    save("incomplete.json", {"tokenizer": incomplete.to_str(), "ids": encode(incomplete, texts)})
    shipped = train(training_texts(), vocab_size=2048)
    digest = hashlib.sha256(TRAIN_DATA.read_bytes()).hexdigest()
    samples = training_texts()[:100]
    merges = learnt(shipped)["merges"]
    save("shipped.json", {"vocab_size": 2048, "data_sha256": digest, "merges": merges, "ids": encode(shipped, samples)})


def train(texts, vocab_size, min_frequency=0, alphabet=None):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if alphabet is None else alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    specials = [(token, tokenizer.token_to_id(token)) for token in SPECIALS[:2]]
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A <eos>", special_tokens=specials)
    # A text that spells a special token is text.
    tokenizer.encode_special_tokens = True
    return tokenizer


def learnt(tokenizer):
    model = json.loads(tokenizer.to_str())["model"]
    return {
        "tokens": [token for token, _ in sorted(model["vocab"].items(), key=lambda item: item[1])],
        "merges": [" ".join(merge) for merge in model["merges"]],
    }


def encode(tokenizer, texts):
    return [tokenizer.encode(text).ids for text in texts]


def training_texts():
    """What `tokenizer build` learns from: every formatted prompt and every answer."""
    rows = [json.loads(line) for line in TRAIN_DATA.read_text(encoding="utf-8").split("\n") if line.strip()]
    return [text for row in rows for text in (format_prompt(row["prompt"]), row["completion"])]


def format_prompt(prompt):
    return "用户:" + prompt.replace("\r\n", "\n").replace(" ", "").replace("\u3000", "").strip() + "\n助手:"


def odd_texts():
    """About a hundred texts that are hard to cut: scripts mixed, marks, digits, emoji, all kinds of white space."""
    texts = [
        "",
        " ",
        "  ",
        "\n",
        "a",
        "词元",
        "用户:什么是词元?\n助手:",
        "词元是模型读写文字的最小单位,一个词元常常是一两个汉字。",
        "注意力让每个词元看到前面的词元,注意力的分数由查询和键算出。",
        "梯度下降一步一步减小损失;学习率太大会发散,太小会很慢。",
        "训练、验证、测试,三份数据各有用处。训练用来学,验证用来选,测试用来报。",
        "GPT的全称是Generative Pre-trained Transformer。",
        "RoPE把位置转成角度,RMSNorm把长度变成一。",
        "It's the model's loss; we'll see, they've gone, I'm here, you'd better, don't!",
        "IT'S 'S 's 'll'LL ''re",
        "snake_case camelCase kebab-case path/to/file.txt https://example.org/?q=1&r=2#top",
        "for (let i = 0; i < 10; i++) { a[i] = __proto__ + constructor; }",
        "0 1 12 123 1234 12345 3.14159 1,000,000 1e-3 -273.15 50% #7",
        "二〇二五年十一月24日12:30,气温-5°C,湿度60%。",
        "<bos> <eos> <pad> <unk> <bos><eos> < eos > <EOS>",
        "\t缩进\t两次\t\t三次",
        "行一\n行二\r\n行三\n\n\n行六",
        "末尾有空格   ",
        "   开头有空格",
        "中间" + " " * 40 + "很长的空格",
        "全角\u3000空格\u3000\u3000两个",
        "不换行\u00a0空格\u202f窄\u2009细\u2003长",
        "零宽\u200b空格\u200d连接\u2060词",
        "字节顺序标记\ufeff在中间",
        "\ufeff在开头",
        "下一行\u0085控制符\u000b和\u000c",
        # White space to Unicode but not to JavaScript, and the other way round; often enough to be learnt.
        "a  \u0085 b  \u0085 c  \u0085d  \u0085d  \u0085\u0085",
        "a \ufeff\ufeff b \ufeff\ufeff c \ufeff\ufeff  \ufeff\ufeff",
        "行分隔\u2028段分隔\u2029完",
        "控制\u0000\u0001\u001b[31m\u007f字符",
        "é è ê ë ē 与 e\u0301 e\u0300 e\u0302 e\u0308 e\u0304",
        "Z\u0351\u036b\u0343a\u0329\u0333l\u0322g\u0321o\u0328",
        "ﬁ ﬂ Ⅷ ⅷ ² ³ ½ ¼ № ™ ℃ ㎏ ①②③",
        "😀😃😄 🙂🙃",
        "👨\u200d👩\u200d👧\u200d👦 👍🏽 🏳\ufe0f\u200d🌈 🇨🇳🇩🇪",
        "笑😀哭😭笑😀哭😭",
        "𠮷野家 𠀀𠀁 𝒳𝒴𝒵 𝟘𝟙𝟚",
        "こんにちは、世界。カタカナ ﾊﾝｶｸ",
        "안녕하세요 세계 한글 자모 ㄱㄴㄷ",
        "Привет, мир! Ёлка и ёж.",
        "Γειά σου Κόσμε",
        "مرحبا بالعالم ١٢٣٤٥",
        "שלום עולם",
        "नमस्ते दुनिया १२३",
        "สวัสดีชาวโลก ๑๒๓",
        "Xin chào thế giới",
        "½米+¾米=1¼米",
        "a\u0301\u0301\u0301b",
        "—–―‐‑ … ‥ · • ‘单’ “双” 「日」 『语』 《书》 〈名〉",
        "!!!??!?!。。。,,,;;;",
        "////\\\\\\\\||||~~~~````^^^^",
        "aaaa aaaaaaa aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "abababababab bababababa",
        "哈哈哈哈哈哈哈哈 哈哈哈 哈",
        "1111111111 2222 121212",
        "的的的 了了 是是是是",
        "x" * 300,
        "长" * 200,
        "\u0300\u0301开头是组合符",
        "\ufffd替换符\ufffd",
        "\ud7ff\ue000\uf8ff\ufffe\uffff\U0010ffff",
    ]
    chance = random.Random(20251124)
    pool = [char for text in texts for char in text] + list("的一是不了人我在有他这为之大来以个中上们 ,。 \n")
    texts += ["".join(chance.choices(pool, k=chance.randrange(1, 60))) for _ in range(40)]
    return texts


def save(name, content):
    """One entry of a list a line, so that changes can be read."""
    parts = []
    for key, value in content.items():
        # Escaped texts: invisible characters survive editors, and can be seen. Tokens have only visible ones.
        escape = key == "texts"
        text = dump(value, escape)
        if isinstance(value, list):
            text = "[\n" + ",\n".join(dump(item, escape) for item in value) + "\n]"
        parts.append(f"{dump(key, escape)}: {text}")
    (FIXTURES / name).write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def dump(value, escape):
    return json.dumps(value, ensure_ascii=escape, separators=(",", ":"))


if __name__ == "__main__":
    main()
