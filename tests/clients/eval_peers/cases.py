"""Crafted answers for every data set: right, wrong, and written so as to confuse a scorer.

cases(dataset) -> [row]: the data set's own row with "output", what a model might have written.
Deterministic. Standard library only.
"""

import itertools
import random

import code_cases

ENGLISH_CHOICE = [
    "The answer is ({x}).", "the answer is {x}", "Answer: {x}", "answer:{x}", "ANSWER: {x}", "ANSWER:\n{x}",
    "The correct answer is: {x}", "The correct answer is:\n\n- {x}", "The answer might be:\n\n- {x}", "The answer is  {x}",
    "**Answer:** {x}", "\\boxed{{{x}}}", "{x}", "{x}.", "({x})", "Option {x} is right.", "I think {y} is wrong, so {x}",
    "The answer is ({y})? No. The answer is ({x}).", "Answer: none. It is {x} after all.", "So we choose {x}: 42",
    "Let A be a set. Then B holds.\nThe answer is ({x})", "As shown, ({x}): yes, but DNA and RNA...", "", "no letter at all",
    "the correct choice is {x}\n", "Final Answer: {x}\nANSWER: {y}", "It's {y}, {x}, or both", "answer is ({x}", "{x}{y}", "ANSWER: {x}) text",
]
CHINESE_CHOICE = [
    "答案是{x}", "答案是：{x}", "答案是:{x}", "答案：{x}", "答案为{x}", "答案选{x}", "正确答案是 {x}。", "答案应该是{x}", "答案应选{x}",
    "选择{x}", "选{x}", "故选{x}", "故选：{x}", "因此{x}", "因此，{x}。", "显然 {x}", "所以{x}", "所以答{x}", "{x}是正确的", "{x}是正确答案",
    "选项{x}正确", "选项 {x}", "{x}选项", "{x} 项是对的", "只有{x}正确", "只有选项{x}是错的", "说法不正确的是{x}", "说法错误的是{x}",
    "我认为是{x}。", "{y}不对，{x}对。", "先看{y}，再看{x}，答案是{x}", "“答案是：{x}”", "答案是：LETTER\n答案是：{x}", "根据题意，{y}错误。\n因此选择{x}。",
    "{x}", "{x}。", " {x}\n", "\n\n{x}: 因为……", "答案是正确的那个，即{x}", "固选{x}", "不知道", "", "正确", "The answer is {x}", "the correct answer is {x}",
    "选项中{y}和{x}都对，但最好的是{x}", "答案 {x}", "Ａ和Ｂ都不对", "经分析，本题选 {x} 。", "<think>也许{y}</think>\n{x}", "答案是“{x}”。", "答|{x}",
]
BOXED_CHOICE = [
    "\\boxed{{{x}}}", "\\boxed{{({x})}}", "\\boxed{{\\text{{{x}}}}}", "so {x}", "{y} then {x}.", "The answer is a matter of {x}", "{x}/", "none",
    "A priori, \\boxed{{{x}}}", "\\boxed{{{x}}} because a is small", "\\boxed{{{x}) 42}}", "b", "d.", "I'd say c", "", "...", "\\boxed{{7}}", "E", "{x}{y}",
    "answer:{x}", "_{x}_", "**{x}**", "选{x}", "选 {x}。",
]

# Right answers of MATH and forms in which models write them, right and wrong.
MATH = [
    ("\\frac{5}{6}", ["\\frac{5}{6}", "\\frac56", "5/6", "0.8333", "\\dfrac{5}{6}", "\\tfrac{10}{12}", "\\frac{5}{7}", "0.83", "83.33\\%", "5:6", "\\frac{-5}{-6}", "(5/6)"]),
    ("-2,2", ["2,-2", "-2, 2", "\\pm 2", "x = 2, -2", "\\{-2, 2\\}", "2", "-2 \\text{ and } 2", "2, -2, 3", "x=-2 or x=2", "(-2,2)"]),
    ("x^2+2x+1", ["(x+1)^2", "x^2+2x+1", "1+2x+x^2", "x^{2} + 2x + 1", "x^2+2x", "y^2+2y+1", "(x+1)(x+1)", "x(x+2)+1", "f(x)=x^2+2x+1", "x^2 + 2 x + 1."]),
    ("2\\sqrt{3}", ["\\sqrt{12}", "2\\sqrt3", "2 \\sqrt{3}", "3.4641", "3.46", "\\sqrt{3}\\cdot 2", "\\frac{6}{\\sqrt{3}}", "2\\sqrt{2}", "12^{1/2}", "2\\cdot\\sqrt{3}\\text{ cm}"]),
    ("10,000", ["10000", "10,000", "10{,}000", "10\\,000", "10^4", "ten thousand", "1000", "\\$10,000", "10,\\!000", "10 000"]),
    ("(3,\\frac{1}{2})", ["(3,0.5)", "(3, 1/2)", "\\left(3,\\frac12\\right)", "[3,\\frac{1}{2}]", "(0.5,3)", "3,\\frac{1}{2}", "(3,\\frac{1}{3})", "(3, \\frac{1}{2}, 0)"]),
    ("(-\\infty,2)\\cup(3,\\infty)", ["(3,\\infty)\\cup(-\\infty,2)", "(-\\infty,2) \\cup (3,\\infty)", "(-\\infty,2)", "(-\\infty,3)\\cup(2,\\infty)", "x<2 \\text{ or } x>3"]),
    ("\\begin{pmatrix} 1 \\\\ -2 \\end{pmatrix}", ["\\begin{pmatrix}1\\\\-2\\end{pmatrix}", "\\begin{bmatrix} 1 \\\\ -2 \\end{bmatrix}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\begin{pmatrix} 1 & -2 \\end{pmatrix}", "\\begin{array}{c}1\\\\-2\\end{array}"]),
    ("\\begin{pmatrix} 1 & 0 \\\\ \\frac{1}{2} & 3 \\end{pmatrix}", ["\\begin{pmatrix}1&0\\\\0.5&3\\end{pmatrix}", "\\begin{pmatrix}1&0\\\\1/2&3\\end{pmatrix}", "\\begin{pmatrix}0&1\\\\0.5&3\\end{pmatrix}"]),
    ("50\\%", ["50", "0.5", "50%", "\\frac{1}{2}", "50 percent", "5", "500"]),
    ("90^\\circ", ["90", "90^{\\circ}", "90 \\text{ degrees}", "\\frac{\\pi}{2}", "90°", "91"]),
    ("\\text{Evelyn}", ["Evelyn", "\\text{Evelyn}", "\\text{evelyn}", "\\mathrm{Evelyn}", "Debra", "\\text{Evelyn }"]),
    ("\\text{(C)}", ["C", "(C)", "\\text{C}", "\\textbf{(C)}", "(B)", "c", "\\text{(C)}"]),
    ("3\\frac{1}{2}", ["\\frac{7}{2}", "3.5", "3 \\frac{1}{2}", "3\\frac12", "\\frac{3}{2}", "3+\\frac12"]),
    ("6\\pi", ["6\\pi", "18.8496", "18.85", "6 \\pi \\text{ cm}", "3\\pi", "6\\cdot\\pi", "6*pi", "6π"]),
    ("y=2x+3", ["y=2x+3", "2x-y+3=0", "y-3=2x", "y=2x-3", "2x+3", "y = 3 + 2x", "x=2y+3"]),
    ("7", ["7", "7.0", "07", "+7", "seven", "7 \\text{ apples}", "\\text{seven}", "x=7", "7.00001", "7.1", "-7", "$7", "7!", "\\boxed{7}", "7元", "7个", "7 cm", "共7个", "7\\text{个}", "：7", "VII"]),
    ("-\\frac{1}{3}", ["-\\frac{1}{3}", "\\frac{-1}{3}", "-1/3", "-0.3333", "-0.333", "\\frac{1}{-3}", "\\frac13", "-\\frac{3}{9}"]),
    ("2^{10}", ["1024", "2^{10}", "4^5", "2^10", "1,024", "2^{11}", "32^2"]),
    ("\\{1,2,3\\}", ["\\{3,2,1\\}", "1,2,3", "\\{1, 2, 3\\}", "\\{1,2\\}", "{1,2,3}", "(1,2,3)", "[1,2,3]"]),
    ("\\emptyset", ["\\emptyset", "\\{\\}", "{}", "\\varnothing", "0", "\\text{none}"]),
    ("x\\in[-2,7]", ["[-2,7]", "x \\in [-2,7]", "-2\\le x\\le 7", "(-2,7)", "[-2,8]", "[-2, 7)"]),
    ("\\frac{\\sqrt{3}}{3}", ["\\frac{1}{\\sqrt{3}}", "\\frac{\\sqrt{3}}{3}", "0.57735", "\\sqrt{\\frac{1}{3}}", "\\frac{\\sqrt{3}}{2}", "\\frac{\\sqrt3}3", "1/\\sqrt{3}"]),
    ("1+\\sqrt{5}, 1-\\sqrt{5}", ["1 \\pm \\sqrt{5}", "1-\\sqrt{5}, 1+\\sqrt{5}", "1+\\sqrt{5}", "\\{1+\\sqrt5,1-\\sqrt5\\}", "3.236,-1.236"]),
    ("120", ["5!", "120", "120.", "1.2\\times 10^2", "120\\text{ cm}^2", "\\binom{10}{3}", "12", "one hundred twenty", "one hundred and twenty", "120 ways", "$120$"]),
    ("\\frac{3x}{x+1}", ["\\frac{3x}{x+1}", "3x/(x+1)", "3-\\frac{3}{x+1}", "\\frac{3 x}{1 + x}", "\\frac{3x}{x-1}", "\\frac{-3x}{-x-1}"]),
    ("\\sin^2 x", ["1-\\cos^2 x", "\\sin^2 x", "(\\sin x)^2", "\\sin^2(x)", "\\sin x^2", "\\frac{1-\\cos 2x}{2}"]),
    ("\\log_2 3", ["\\log_2 3", "\\frac{\\ln 3}{\\ln 2}", "\\log_{2}{3}", "1.58496", "\\log_3 2"]),
    ("5", ["5", "\\sqrt{25}", "\\frac{10}{2}", "|{-5}|", "5\\text{ dollars}", "\\$5", "five", "5x", "0.05", "500", "-5", "5,0", "3+2", "6-1", "5i", "2.5\\cdot 2"]),
    ("1:2", ["1:2", "\\frac{1}{2}", "1 : 2", "2:1", "1/2"]),
    ("4:30", ["4:30", "4:30\\text{ p.m.}", "4.5", "16:30"]),
    ("2516_8", ["2516_8", "2516", "2516_{8}", "2516_9"]),
    ("\\text{odd}", ["odd", "\\text{odd}", "even", "\\text{Odd}"]),
    ("3, 5, 7", ["3,5,7", "7,5,3", "3,5", "\\{3,5,7\\}", "3, 5, \\text{ and } 7", "3 , 5 , 7"]),
    ("11\\sqrt2", ["11\\sqrt{2}", "11\\sqrt2", "15.556", "15.5563", "11*sqrt(2)"]),
    ("-1 < x < 3", ["(-1,3)", "-1<x<3", "-1 < x < 3", "x>-1", "-1<x<4"]),
    ("a^2-b^2", ["(a-b)(a+b)", "a^2-b^2", "b^2-a^2", "-b^2+a^2", "a^2+b^2"]),
    ("e^{2}", ["e^2", "7.389", "7.38906", "\\exp(2)", "e^{3}"]),
    ("1.25", ["1.25", "\\frac{5}{4}", "1\\frac{1}{4}", "125\\%", "1.3", "5/4"]),
    ("144", ["144", "12^2", "12\\cdot 12", "144\\text{ square inches}", "144 in^2", "1440", "一百四十四"]),
]
MATH_WRAPS = [
    "So the final result is $\\boxed{{{a}}}$.", "\\boxed{{{a}}}", "First \\boxed{{0}}, corrected: \\boxed{{{a}}}", "The answer is {a}.", "答案是{a}", "因此，最终答案是 \\boxed{{{a}}}。",
    "The final answer is ${a}$. I hope it is correct.",
]

DROP_GOLD = [
    ({"number": "24", "spans": []}, ["24", "24.0", " 24 ", "24 points", "twenty-four", "25", "$24", "024", "24,", "2.4e1", "24%"]),
    ({"number": "1,200", "spans": []}, ["1200", "1,200", "1,200 people", "1.2k", "1200.0"]),
    ({"number": "", "spans": ["Jason Hanson"]}, ["Jason Hanson", "jason hanson", "Hanson", "the Jason Hanson", "Jason-Hanson", "Jason Hanson.", "Hanson Jason", "\"Jason Hanson\"", "Jason\tHanson", "Jason  Hanson"]),
    ({"number": "", "spans": ["Bears", "Lions"]}, ["Bears, Lions", "Lions, Bears", "Bears and Lions", "Bears", "Bears Lions"]),
    ({"number": "", "spans": ["a"]}, ["a", "the", "", "an a"]),
    ({"number": "", "spans": ["the 1998 season"]}, ["1998 season", "1998", "the 1998 season", "1998.0 season", "season"]),
    ({"number": "-3", "spans": []}, ["-3", "3", "−3", "minus 3"]),
    ({"number": "0.5", "spans": []}, [".5", "0.50", "1/2", "50%"]),
    ({"number": "", "spans": ["U.S. Army"]}, ["US Army", "U.S. Army", "u.s army", "Army", "U.S.-Army"]),
    ({"number": "", "spans": ["北京"]}, ["北京", "北京市", "北京。"]),
    ({"number": "", "spans": ["field-goal"]}, ["field goal", "field-goal", "fieldgoal", "a field-goal"]),
    ({"number": "3000000", "spans": []}, ["3 million", "3,000,000", "3e6", "3000000"]),
]
DROP_WRAPS = ["{a}", "Answer: {a}", "Thinking...\nAnswer: {a}", "Answer: {a}\nDone.", "answer : {a}", "**Answer:** {a}", "The answer: {a}", "Answer: 7\nAnswer: {a}"]

TEXTS = [
    "", "Hello there.", "HELLO WORLD, THIS IS ALL LOUD.", "this is quiet and written in small letters.", "My answer is yes.", "My answer is no. I think.", "{\"a\": 1, \"b\": [1, 2]}",
    "```json\n{\"a\": 1}\n```", "```\n[1, 2, 3]\n```", "not json {", "* one\n* two\n* three", "- one\n- two", "* one\n  - sub\n** not", "<<A title>>\nSome text here.", "<<>> nothing", "*a* and **b** and *c*",
    "Section 1\nText.\nSection 2\nMore.\nSECTION 3\nEnd.", "SECTION 1 a SECTION 2 b", "one\n\n***\n\ntwo\n***\nthree", "***\none\n***", "a\n\nb\n\nc", "First words.\n\n\"Then, more\" words.\n\nThird.",
    "First answer\n******\nSecond answer", "Same\n******\nSame", "******\nOnly one", "\"Quoted all through.\"", "\"Half quoted", "Dear [name], come to [place] at [time].", "[ ] [x]", "Some text.\n\nP.S. Do not forget.", "Text\np. p. s. more", "P.P.S",
    "The cat sat on the mat. The cat ran! Did the cat sleep? Cats do.", "Dr. Smith and Mr. Jones met at 5 p.m. in the U.S. They spoke. It was good.", "One sentence only", "Wait... what? Yes! OK.", "It costs 3.50 dollars. Cheap, i.e. fine. No?",
    "1. First item\n2. Second item\n3. Third item", "Is there anything else I can help with?", "All done. IS THERE ANYTHING ELSE I CAN HELP WITH?\"", "Write a poem about cats.\nCats are soft.", "WRITE A POEM ABOUT CATS. ok",
    "Katzen sind weich und sie schlafen gern den ganzen Tag in der Sonne. Das ist nicht schlecht.", "Les chats sont doux et ils dorment toute la journée dans le soleil. Ce n'est pas mal.", "Los gatos son suaves y duermen todo el día en el sol. No está mal.",
    "猫很柔软，喜欢在太阳底下睡觉。它们每天睡很多个小时，也喜欢吃鱼。", "猫はやわらかくて、太陽の下で寝るのが好きです。", "고양이는 부드럽고 햇볕에서 자는 것을 좋아합니다.", "Кошки мягкие, и они любят спать на солнце весь день. Это неплохо.",
    "बिल्लियाँ नरम होती हैं और वे पूरे दिन धूप में सोना पसंद करती हैं।", "القطط ناعمة وتحب النوم في الشمس طوال اليوم، وهذا ليس سيئا.", "گربه‌ها نرم هستند و دوست دارند تمام روز در آفتاب بخوابند.", "Mèo rất mềm mại và chúng thích ngủ dưới ánh nắng mặt trời cả ngày.",
    "I AM HAPPY. NASA AND THE UN ARE BIG. don't YOU think?", "I'M A STAR, AREN'T I? A B C", "commas, commas, commas", "zebra zig zag ZZZ buzz", "Sure, here it is:\n* one\n* two\nHope this helps!", "Here you go:\n\"Quoted.\"", "**Bold.** Then *more*.\n\n**P.S.** bye",
    "word " * 30, "A longer text. " * 8, "Mixed 中文 and English, with numbers 1,2,3.", "Line one.\nLine two!\nLine three?", "  leading and trailing  ", "{\"a\": NaN}", "null", "\"string\"", "42",
]
INSTRUCTIONS = [
    ("keywords:existence", {"keywords": ["cat", "mat"]}), ("keywords:existence", {"keywords": ["猫"]}), ("keywords:frequency", {"keyword": "cat", "frequency": 3, "relation": "at least"}),
    ("keywords:frequency", {"keyword": "word", "frequency": 10, "relation": "less than"}), ("keywords:forbidden_words", {"forbidden_words": ["cat", "title"]}), ("keywords:forbidden_words", {"forbidden_words": ["a"]}),
    ("keywords:letter_frequency", {"letter": "z", "let_frequency": 4, "let_relation": "at least"}), ("keywords:letter_frequency", {"letter": "A", "let_frequency": 2, "let_relation": "less than"}),
    *[("language:response_language", {"language": x}) for x in ("en", "de", "fr", "es", "ko", "ru", "hi", "ar", "fa", "vi", "ja")],
    ("length_constraints:number_sentences", {"num_sentences": 3, "relation": "at least"}), ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"}), ("length_constraints:number_sentences", {"num_sentences": 5, "relation": "less than"}),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 3}), ("length_constraints:number_paragraphs", {"num_paragraphs": 1}), ("length_constraints:number_words", {"num_words": 10, "relation": "at least"}), ("length_constraints:number_words", {"num_words": 5, "relation": "less than"}),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 3, "nth_paragraph": 2, "first_word": "then"}), ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 3, "nth_paragraph": 3, "first_word": "c"}),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}), ("detectable_content:postscript", {"postscript_marker": "P.S."}), ("detectable_content:postscript", {"postscript_marker": "P.P.S"}),
    ("detectable_format:number_bullet_lists", {"num_bullets": 3}), ("detectable_format:number_bullet_lists", {"num_bullets": 2}), ("detectable_format:constrained_response", {}),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}), ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 2}), ("detectable_format:multiple_sections", {"section_spliter": "SECTION", "num_sections": 2}),
    ("detectable_format:json_format", {}), ("detectable_format:title", {}), ("combination:two_responses", {}), ("combination:repeat_prompt", {"prompt_to_repeat": "Write a poem about cats."}),
    ("startend:end_checker", {"end_phrase": "Is there anything else I can help with?"}), ("change_case:capital_word_frequency", {"capital_frequency": 3, "capital_relation": "at least"}), ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "less than"}),
    ("change_case:english_capital", {}), ("change_case:english_lowercase", {}), ("punctuation:no_comma", {}), ("startend:quotation", {}),
]

# Reference answers for general_qa, and what is made of them: the forms in which models write answers.
QA_GOLD = [
    "The capital of France is Paris.", "He didn't say \"no\", but he wouldn't go.", "def f(x): return x + 1", "Water boils at 100 °C (212 °F) at sea level.", "Yes. It was built in 1889, for the World's Fair; it's 330 m tall.",
    "I can't, won't and shouldn't -- ever!", "See e.g. Dr. Smith's paper, pp. 3-7, at https://example.org/a?b=c&d=e.", "one two three two one", "It costs $3.50, i.e. 20% less... Why? Because of taxes.", "x", "The the THE the",
    "中国的首都是北京。", "水在海平面的沸点是100摄氏度。", "《红楼梦》的作者是曹雪芹，成书于十八世纪。", "他说：“我不去。”然后走了……真的吗？是的！", "机器学习（machine learning）是人工智能的一个分支。", "一，二，三，二，一", "日本の首都は東京です。", "ひらがなだけ", "서울은 대한민국의 수도이다.", "Ich weiß, daß Zürich größer ist.",
    "The integral is $\\int_0^1 x^2 \\, dx = \\frac{1}{3}$.", "因此 $x = \\frac{-b \\pm \\sqrt{b^2 - 4ac}}{2a}$，答案是 \\boxed{2}。", "\\begin{pmatrix} 1 & 0 \\\\ 0 & 1 \\end{pmatrix}", "```python\nprint('hi')\n```", "- first\n- second\n\n- third", "😀 is an emoji; é is not e\u0301.",
]  # fmt: skip
QA_FORMS = {
    "same": lambda t: t, "none": lambda t: "", "lower": lambda t: t.lower(), "upper": lambda t: t.upper(), "first half": lambda t: t[: len(t) // 2], "last half": lambda t: t[len(t) // 2 :], "twice": lambda t: t + " " + t, "glued twice": lambda t: t + t,
    "backwards": lambda t: " ".join(reversed(t.split())), "no punctuation": lambda t: "".join(c for c in t if c.isalnum() or c.isspace()), "no spaces": lambda t: "".join(t.split()), "wide spaces": lambda t: "  " + t.replace(" ", "   ") + "\n", "lines": lambda t: t.replace(" ", "\n"), "tabs": lambda t: t.replace(" ", "\t"),
    "introduced": lambda t: "Sure! The answer is: " + t, "introduced zh": lambda t: "答案是：" + t, "thought": lambda t: "<think>hm?no</think>\n\n" + t, "quoted": lambda t: f"\"{t}\"", "asked": lambda t: t + "?Really?yes", "asked zh": lambda t: t + "？真的！对。", "dots": lambda t: t + "......and more……more", "every other": lambda t: t[::2],
    "other": lambda t: "I do not know.", "other zh": lambda t: "我不知道。", "blank line": lambda t: t + "\n \n" + t, "only blanks": lambda t: " \n\t", "full width": lambda t: t.replace(",", "，").replace(".", "。").replace(" ", "\u3000"), "quote end": lambda t: "He asked “why?” " + t, "wrong number": lambda t: t.replace("1", "7"),
}  # fmt: skip


def fill(templates, letters, seed):
    rng = random.Random(seed)
    out = []
    for template, x in itertools.product(templates, letters):
        y = rng.choice([letter for letter in letters if letter != x])
        out.append((template.format(x=x, y=y), x))
    return out


def choice_rows(templates, letters, seed, row):
    rng = random.Random(seed + 1)
    return [{**row, "id": str(i), "answer": x if rng.random() < 0.7 else rng.choice(letters), "output": text} for i, (text, x) in enumerate(fill(templates, letters, seed))]


def cases(dataset):
    if dataset in ("general_mcq", "ceval"):
        letters = "ABCD" if dataset == "ceval" else "ABCDEFGHIJ"[:6]
        return choice_rows(CHINESE_CHOICE + ENGLISH_CHOICE, letters, 1, {"question": "q", **{x: "t" + x for x in letters}})
    if dataset == "mmlu_pro":
        return [{**r, "question_id": r["id"]} for r in choice_rows(ENGLISH_CHOICE + CHINESE_CHOICE[:12], "ABCDEFGHIJ", 2, {"question": "q", "options": list("0123456789"), "category": "law", "cot_content": ""})]
    if dataset == "gpqa":
        rows = choice_rows(BOXED_CHOICE + ENGLISH_CHOICE, "ABCD", 3, {})
        return [{"Record ID": r["id"], "Question": "q", "Correct Answer": "right", **{f"Incorrect Answer {i}": f"wrong {i}" for i in (1, 2, 3)}, "output": r["output"]} for r in rows]
    if dataset == "math_500":
        return [{"problem": "p", "answer": gold, "level": 1, "unique_id": f"{i}/{j}/{k}", "output": wrap.format(a=form)}
                for i, (gold, forms) in enumerate(MATH) for j, form in enumerate(forms) for k, wrap in enumerate(MATH_WRAPS) if k < 2 or (i + j + k) % 3 == 0]  # fmt: skip
    if dataset == "aime24":
        golds = ["204", "025", "7", "113"]
        forms = ["{g}", "0{g}", "{g}.0", "\\text{{{g}}}", "{g}^\\circ", "m+n={g}", "{g}\\text{{ units}}", "1{g}", "-{g}", "{g}00", "\\frac{{{g}}}{{1}}", "{g}+1", "{g}!"]
        return [{"id": f"{i}-{j}-{k}", "problem": "p", "answer": g, "output": w.format(a=f.format(g=g))} for i, g in enumerate(golds) for j, f in enumerate(forms) for k, w in enumerate(MATH_WRAPS)]
    if dataset == "drop":
        none = {"day": "", "month": "", "year": ""}
        return [{"query_id": f"{i}-{j}-{k}", "passage": "p", "question": "q", "answer": {**gold, "date": none}, "validated_answers": {"number": [""], "date": [{"day": "3", "month": "May", "year": "1998"}], "spans": [[]]}, "output": wrap.format(a=form)}
                for i, (gold, forms) in enumerate(DROP_GOLD) for j, form in enumerate(forms + ["3 May 1998", "May 3, 1998"]) for k, wrap in enumerate(DROP_WRAPS) if (i + j + k) % 2 == 0]  # fmt: skip
    if dataset == "ifeval":
        return [{"key": i * 1000 + j, "prompt": "p", "instruction_id_list": [name], "kwargs": [kwargs], "output": text} for i, (name, kwargs) in enumerate(INSTRUCTIONS) for j, text in enumerate(TEXTS)]
    if dataset == "general_qa":
        return [{"id": f"{i}-{name}", "question": "q", "answer": gold, "output": form(gold)} for i, gold in enumerate(QA_GOLD) for name, form in QA_FORMS.items()]
    if dataset == "live_code_bench":
        return code_cases.rows()
    raise ValueError(dataset)
