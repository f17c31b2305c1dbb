"""Each published rule refuses a document that breaks it, and not a similar one that does not: English, Chinese, code, maths."""

import pytest

from components.curation import CurationConfig
from components.curation.config import RULE_SETS
from components.curation.extraction.documents import normalised_document
from components.curation.reading.readers import RawDocument
from components.curation.text.heuristics import KINDS, RULES, heuristics, kind_of
from components.errors import ConfigError
from tests.components.curation.conftest import config, source

ENGLISH = (
    "The harbour town lay quiet when the first boats came back with the evening tide. Nobody had expected them to have any "
    "luck, because the wind had been wrong for a week and the older men had stayed at home.\n"
    "Still, there were baskets of herring on the quay before dark, and the women of the town began to count and to salt. "
    "A boy ran up the hill to ring the bell, as was the custom.\n"
    "By midnight the work was done. The lamps went out one after another, and only the lighthouse kept turning over the water.\n"
)
CHINESE = (
    "北京是中国的首都，也是全国的政治和文化中心。城市里有许多古老的建筑，每年都吸引了大量的游客前来参观。\n"
    "春天的时候，公园中的花都开了，人们在湖边散步，孩子们放风筝，老人坐在树下聊天。\n"
    "到了秋天，西山的红叶被阳光照亮，是一年里最美的季节，许多人会在周末去爬山，也有人喜欢在家中读书喝茶。\n"
    "冬天虽然寒冷，但是胡同里的小店依然热闹，热气腾腾的面条和包子让人感到温暖。\n"
)
MATHS = (
    "\\begin{lemma} Let $R$ be a ring and let $I \\subset R$ be an ideal. Then $V(I) = \\emptyset$ if and only if $I = R$. "
    "\\end{lemma}\n\n\\begin{proof} If $I \\neq R$ then $I$ is contained in a maximal ideal $\\mathfrak m$ by Zorn, hence "
    "$\\mathfrak m \\in V(I)$. Conversely, if $I = R$ then no prime contains $1$, and so no prime ideal of the ring lies in "
    "$V(I)$. This is what we had to show, and the claim about closed subsets follows from it at once. \\end{proof}\n"
)
CODE = "#include <stdio.h>\n" + "".join(
    f"int f_{i}(int a) {{\n    return a + {i};  // adds {i} to its argument\n}}\n" for i in range(20)
)
JAPANESE = (
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは"
    "記憶している。吾輩はここで始めて人間というものを見た。しかもあとで聞くとそれは書生という人間中で一番獰悪な種族であったそうだ。\n"
)
GERMAN = (
    "Die Hafenstadt lag ruhig, als die ersten Boote mit der Abendflut zurückkamen. Niemand hatte erwartet, dass sie Glück haben "
    "würden, denn der Wind stand seit einer Woche falsch, und die älteren Männer waren zu Hause geblieben.\n"
    "Trotzdem standen vor der Dunkelheit Körbe mit Heringen auf dem Kai, und die Frauen begannen zu zählen und zu salzen. "
    "Ein Junge lief den Hügel hinauf, um die Glocke zu läuten.\n"
)
THAI = (
    "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ต่างมีเหตุผลและมโนธรรม และควรปฏิบัติต่อกันด้วยเจตนารมณ์แห่งภราดรภาพ\n"
    "ทุกคนมีสิทธิในการดำรงชีวิต เสรีภาพ และความมั่นคงแห่งตัวตน\n"
)
KHMER = (
    "មនុស្សទាំងអស់កើតមកមានសេរីភាព និងភាពស្មើៗគ្នាក្នុងសិទ្ធិនិងសេចក្តីថ្លៃថ្នូរ។ មនុស្សគ្រប់រូបសុទ្ធតែមានវិចារណញ្ញាណនិងសតិសម្បជញ្ញៈ "
    "ហើយត្រូវប្រព្រឹត្តចំពោះគ្នាទៅវិញទៅមកក្នុងស្មារតីរាប់អានគ្នាជាបងប្អូន។\n"
)
WORDS = [f"{a}{b}{c}ing" for a in "bdfgklm" for b in "aeiou" for c in "lmnrst"]


def refusal(text: str, rule_set: str = "", domain: str = "prose", **limits: float) -> str:
    document = normalised_document(RawDocument(source_index=0, uri="", text=text, raw=text.encode()), source("x", domain))
    return heuristics((rule_set,) if rule_set else RULE_SETS, limits).refusal(document)


@pytest.mark.parametrize(
    ("text", "domain", "kind"),
    [
        (ENGLISH, "prose", "en"),
        (CHINESE, "prose", "zh"),
        (GERMAN, "prose", "other"),
        (JAPANESE, "prose", "unspaced"),
        (THAI, "prose", "unspaced"),
        (KHMER, "prose", "unspaced"),
        (MATHS, "maths", "maths"),
        (MATHS, "maths-zh", "maths"),
        (CODE, "code", "code"),
    ],
)
def test_good_documents_of_every_kind_pass_every_rule(text: str, domain: str, kind: str) -> None:
    document = normalised_document(RawDocument(source_index=0, uri="", text=text, raw=b""), source("x", domain))
    assert kind_of(document) == kind
    assert refusal(text, domain=domain) == ""


REFUSED = {
    "gopher-few-words": (ENGLISH[:200], "prose"),
    "gopher-many-words": (ENGLISH * 1200, "prose"),
    "gopher-short-words": ("it is to be or to be a so the of " * 20, "prose"),
    "gopher-long-words": ("the incomprehensibilities of internationalisation " * 40, "prose"),
    "gopher-hashes": (ENGLISH + "#news " * 20, "prose"),
    "gopher-ellipses": (ENGLISH.replace(" the ", " the... "), "prose"),
    "gopher-bullet-lines": ("\n".join(f"- the price of {w} and {w[::-1]}" for w in WORDS[:40]), "prose"),
    "gopher-ellipsis-lines": (
        "\n".join(f"The story of the {w} and what came of it is told here in many words…" for w in WORDS[:9]),
        "prose",
    ),
    "gopher-alphabetic-words": (ENGLISH + "12 34 " * 20, "prose"),
    "gopher-stop-words": (" ".join(f"{w} for" for w in WORDS[:80]) + " is in it", "prose"),
    "gopher-repeated-lines": ("\n".join([ENGLISH, *["Read more"] * 4]), "prose"),
    "gopher-repeated-line-characters": (ENGLISH * 2 + "A\nB\nC\nD\nE\nF\nG\n", "prose"),
    "gopher-repeated-paragraphs": (
        "\n\n".join([*ENGLISH.splitlines()[:3], "Share\nthis", "Share\nthis", "Share\nthis"]),
        "prose",
    ),
    "gopher-repeated-paragraph-characters": (
        "\n\n".join(
            [ENGLISH.splitlines()[0].replace(". ", ".\n")] * 2
            + [f"{w} the {v}" for w, v in zip(WORDS, WORDS[9:18], strict=False)]
        ),
        "prose",
    ),
    "gopher-top-2-gram": (" ".join(f"buy now {w} the" for w in WORDS[:50]), "prose"),
    "gopher-top-3-gram": (" ".join(f"at best price {w} the {w[::-1]}" for w in WORDS[:50]), "prose"),
    "gopher-top-4-gram": (" ".join(f"in the old town {w} {w[::-1]} {w[1:]}on {w[2:]}on" for w in WORDS[:50]), "prose"),
    "gopher-repeated-5-grams": (ENGLISH + ENGLISH[40:300].replace("\n", " "), "prose"),
    "c4-few-sentences": (ENGLISH.replace(".", ","), "prose"),
    "c4-curly-bracket": (ENGLISH + "function() { }", "prose"),
    "c4-lorem-ipsum": (ENGLISH + "Lorem ipsum dolor sit amet.", "prose"),
    "fineweb-terminal-lines": ("\n".join(f"the {w} and the {w[::-1]} of a town" for w in WORDS[:20]), "prose"),
    "fineweb-short-lines": ("\n".join(f"The {w} of it." for w in WORDS[:20]), "prose"),
    "fineweb-repeated-line-characters": (ENGLISH * 2, "prose"),
    "fineweb-list": ("\n".join(f"{w.title()}borough {w.title()}hampton." for w in WORDS[:60]), "prose"),
    "starcoder-xml": ('<?xml version="1.0"?>\n' + CODE, "code"),
    "codex-generated": ("// Code generated by protoc. DO NOT EDIT.\n" + CODE, "code"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_each_rule_refuses_the_document_that_it_is_for(name: str) -> None:
    rule = next(rule for rule in RULES if rule.name == name)
    text, domain = REFUSED[name]
    kinds = [k for k in KINDS if rule.threshold(k) is not None]
    document = normalised_document(RawDocument(source_index=0, uri="", text=text, raw=b""), source("x", domain))
    assert kind_of(document) in kinds
    asked = heuristics((rule.rule_set,), {})
    alone = type(asked)({kind: [pair for pair in asked.rules[kind] if pair[0] is rule] for kind in KINDS})
    assert alone.refusal(document) == name


def test_the_rules_without_a_document_above_are_the_longer_grams_which_the_shorter_ones_hide() -> None:
    hidden = {rule.name for rule in RULES} - REFUSED.keys()
    assert hidden == {f"gopher-repeated-{words}-grams" for words in range(6, 11)}
    for words in range(6, 11):
        assert refusal(
            ENGLISH + ENGLISH, "gopher-repetition", **dict.fromkeys(_all_but(f"gopher-repeated-{words}-grams"), 2)
        ) == (f"gopher-repeated-{words}-grams")


def _all_but(name: str) -> list[str]:
    return [rule.name for rule in RULES if rule.name != name]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (CHINESE[:60], "gopher-few-words"),
        (CHINESE + "1234567890" * 20, "gopher-alphabetic-words"),
        ("红楼梦三国演义水浒传西游记" * 12, "gopher-stop-words"),
        (CHINESE + CHINESE.replace("。", "！"), "gopher-repeated-5-grams"),
        (CHINESE + "\n点击这里查看更多的内容" * 6, "gopher-repeated-lines"),
        (CHINESE.replace("。", "，"), "c4-few-sentences"),
        (CHINESE.replace("。", ""), "c4-few-sentences"),
    ],
)
def test_chinese_is_judged_by_characters_and_its_own_figures(text: str, reason: str) -> None:
    assert refusal(text) == reason


def test_a_phrase_that_fills_a_chinese_page_is_its_top_gram() -> None:
    shops = zip("春夏秋冬东西南北红黄蓝绿甲乙丙丁", "山水花鸟" * 4, strict=True)
    assert refusal("".join(f"{a}{b}的新款特价\n" for a, b in shops), "gopher-repetition") == "gopher-top-2-gram"


def test_rules_for_prose_are_not_asked_of_code_and_maths() -> None:
    assert refusal(CODE, domain="prose-of-code") != ""
    assert refusal(MATHS, domain="prose") == "c4-curly-bracket"


def test_maths_that_repeats_itself_is_refused_all_the_same() -> None:
    assert refusal(MATHS.replace("\n", " ") + ("\n" + MATHS.replace("\n", " ")) * 2, domain="maths") == "gopher-repeated-lines"


def test_a_limit_can_be_replaced_for_all_kinds_or_for_one() -> None:
    short = ENGLISH[:200]
    assert refusal(short, "gopher-quality", **{"gopher-few-words": 10}) == ""
    assert refusal(short, "gopher-quality", **{"en:gopher-few-words": 10}) == ""
    assert refusal(short, "gopher-quality", **{"zh:gopher-few-words": 10}) == "gopher-few-words"


def test_every_rule_names_its_source_and_limits_each_kind_on_one_side() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert bool(rule.min_by_kind) != bool(rule.max_by_kind)
        assert set(rule.min_by_kind or rule.max_by_kind) <= set(KINDS)
        assert "arXiv" in rule.source or "github.com" in rule.source
        assert rule.rule_set in RULE_SETS


@pytest.mark.parametrize("fields", [{"heuristics": ("gofer",)}, {"heuristic_thresholds": {"gopher-few-word": 1}}])
def test_unknown_rule_sets_and_limits_die_in_the_config(fields: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"FilteringConfig\.heuristic"):
        config(source("x"), **fields)
    assert isinstance(config(source("x"), heuristic_thresholds={"zh:gopher-few-words": 5}), CurationConfig)
