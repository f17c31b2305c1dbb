"""Texts for tests of tokenizers: sentences in many scripts, and texts that are meant to break an encoder."""

import random

from hypothesis import strategies as st

from components.tokenizer.special_tokens import names

SENTENCES = {
    "Latin": "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience.",
    "Latin, French": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison.",
    "Latin, Vietnamese": "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi.",
    "Cyrillic": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью.",
    "Greek": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "Greek, polytonic": "Ἅπαντες οἱ ἄνθρωποι γεννῶνται ἐλεύθεροι καὶ ἴσοι εἰς τὴν ἀξιοπρέπειαν.",
    "Armenian": "Բոլոր մարդիկ ծնվում են ազատ ու հավասար իրենց արժանապատվությամբ ու իրավունքներով։",
    "Georgian": "ყველა ადამიანი იბადება თავისუფალი და თანასწორი თავისი ღირსებითა და უფლებებით.",
    "Arabic": "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. وقد وهبوا عقلاً وضميرًا.",
    "Hebrew": "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. כולם חוננו בתבונה ובמצפון.",
    "Syriac": "ܟܠ ܒܪܢܫܐ ܒܪܝܠܗ ܚܐܪܐ ܘܒܪܒܪ ܓܘ ܐܝܩܪܐ ܘܙܕܩܐ",
    "Devanagari": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "Bengali": "সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা এবং অধিকার নিয়ে জন্মগ্রহণ করে।",
    "Gurmukhi": "ਸਾਰਾ ਮਨੁੱਖੀ ਪਰਿਵਾਰ ਆਪਣੀ ਮਹਿਮਾ, ਸ਼ਾਨ ਅਤੇ ਹੱਕਾਂ ਦੇ ਪੱਖੋਂ ਜਨਮ ਤੋਂ ਹੀ ਆਜ਼ਾਦ ਹੈ।",
    "Gujarati": "પ્રતિષ્ઠા અને અધિકારોની દૃષ્ટિએ સર્વ માનવો જન્મથી સ્વતંત્ર અને સમાન હોય છે.",
    "Tamil": "மனிதப் பிறவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்; அவர்கள் மதிப்பிலும் உரிமைகளிலும் சமமானவர்கள்.",
    "Telugu": "ప్రతిపత్తిస్వత్వముల విషయమున మానవులెల్లరును జన్మతః స్వతంత్రులును సమానులును నగుదురు.",
    "Kannada": "ಎಲ್ಲಾ ಮಾನವರೂ ಸ್ವತಂತ್ರರಾಗಿಯೇ ಜನಿಸಿದ್ದಾರೆ ಹಾಗೂ ಘನತೆ ಮತ್ತು ಹಕ್ಕುಗಳಲ್ಲಿ ಸಮಾನರಾಗಿದ್ದಾರೆ.",
    "Malayalam": "മനുഷ്യരെല്ലാവരും തുല്യാവകാശങ്ങളോടും അന്തസ്സോടും സ്വാതന്ത്ര്യത്തോടുംകൂടി ജനിച്ചവരാണ്.",
    "Sinhala": "සියලු මනුෂ්‍යයෝ නිදහස්ව උපත ලබා ඇත. ගරුත්වයෙන් හා අයිතිවාසිකම්වලින් සමාන වෙති.",
    "Thai": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
    "Khmer": "មនុស្សទាំងអស់ កើតមកមានសេរីភាព និងសមភាព ក្នុងផ្នែកសេចក្ដីថ្លៃថ្នូរនិងសិទ្ធិ។",
    "Myanmar": "လူတိုင်းသည် တူညီ လွတ်လပ်သော ဂုဏ်သိက္ခာဖြင့် လည်းကောင်း၊ တူညီလွတ်လပ်သော အခွင့်အရေးများဖြင့် မွေးဖွားလာသူများ ဖြစ်သည်။",
    "Ethiopic": "የሰው ልጅ ሁሉ ሲወለድ ነጻና በክብርና በመብትም እኩልነት ያለው ነው።",
    "Hangul": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "Kana and Han": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "Han": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
}
"""A sentence in each of 27 scripts: the first article of the Universal Declaration of Human Rights, or its start."""

BETWEEN = (
    " ",
    " ",
    " ",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\r\n",
    "\t",
    ", ",
    ". ",
    "",
    "\u00a0",
    "\u3000",
    "\u2003 ",
    "\u200b",
    " – ",
    "🙂",
)

AMONG = (
    "the",
    "x_1 = f(y)",
    "2024",
    "3.14",
    "٣٤",
    "१२३",
    "๑๒",
    "Ⅻ",
    "½",
    "②",
    "“quoted”",
    "e\u0301",
    "naïve",
    "ＡＢ１",
    "。",
    "#",
)


def texts(script: str, count: int) -> list[str]:
    """The sentence of a script, and others of its words in any order with other words, digits and whitespace among them."""
    drawn, words = random.Random(script), SENTENCES[script].split()
    mixed = (drawn.choices(words, k=drawn.randint(1, 8)) + drawn.choices(AMONG, k=drawn.randint(0, 3)) for _ in range(count - 1))
    return [SENTENCES[script], *(_joined(drawn, drawn.sample(members, len(members))) for members in mixed)]


def _joined(drawn: random.Random, words: list[str]) -> str:
    return "".join(word + drawn.choice(BETWEEN) for word in words)


CHARACTERS = st.characters(exclude_categories=["Cs"])

SPELLED = (
    *names(15),
    "<｜",
    "▁",
    "\r\n",
    "\n\n    ",
    " \u3000 ",
    "\x85",
    "2024",
    "中文",
    "一〇二",
    "\0",
    "e\u0301",
    "👩\u200d👧",
    "\ufeff",
)

RUNS = st.builds(
    lambda unit, times: unit * times,
    st.sampled_from([*" \t\na1中〇ー🦜é=\0\u3000\u0301", "\r\n", "ab", " a", "  ."]),
    st.integers(1, 200),
)

TEXTS = st.lists(st.one_of(st.text(CHARACTERS, max_size=8), st.sampled_from(SPELLED), RUNS), max_size=8).map("".join)

MEGABYTE = 1_000_000

MEGABYTES = {
    "one letter": "a" * MEGABYTE,
    "letters": "thequickbrownfox" * (MEGABYTE // 16),
    "digits": "31415926" * (MEGABYTE // 8),
    "spaces": " " * MEGABYTE,
    "newlines": "\n" * MEGABYTE,
    "CJK": "大学之道在明明德" * (MEGABYTE // 24),
    "emoji": "🦜👩\u200d👧" * (MEGABYTE // 15),
    "punctuation": "=-+*" * (MEGABYTE // 4),
    "control characters": "\x00\x01\x7f" * (MEGABYTE // 3),
    "pieces just too long": (" " + "b" * 128) * (MEGABYTE // 129),
    "combining marks": "e" + "\u0301" * (MEGABYTE // 2),
}
