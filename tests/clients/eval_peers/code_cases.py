"""Crafted answers for LiveCodeBench: programs and functions, right, wrong, slow, loud, and wrapped in all manner of text.

rows() -> [row]. "differs", where a row has it, says why EvalScope and `vallm eval` may judge it differently. Deterministic.
"""

import base64
import itertools
import json
import pickle
import zlib

PROCESS = "programs run as programs, each test in a process of its own"
STREAMS = "standard input and output are real files"
TIME = "a program that is out of time has failed"

SUM = [("1 2\n", "3\n"), ("2 2", "4"), ("-1 1\n", "0\n")]
LINES = [("3\nnaïve\n猫 犬\nx\n", "NAÏVE\n猫 犬\nX\n"), ("1\n😀 ß\n", "😀 SS")]
MEAN = [("4\n1 2 3 4\n", "2.5\n"), ("2\n1 1\n", "1.0"), ("3\n1 1 2\n", "1.3333333333333333")]
PAIR = [("5\n", "5 6\n"), ("0\n", "0 1\n")]

# Programs, or (program, why verdicts may differ). TOTAL in them is the sum of a line's numbers.
SUM_PROGRAMS = [
    "print(TOTAL)", "a, b = map(int, input().split())\nprint(a + b)", "import sys\nprint(sum(int(x) for x in sys.stdin.read().split()))", "print(3)", "print(input())",
    "1/0", "while True: pass", "print('3 ')", "def main():\n    a, b = map(int, input().split())\n    print(float(a + b))\nif __name__ == '__main__':\n    main()",
    "syntax error here", "print(TOTAL, end='')", "from math import *\nprint(int(fTOTAL))",
    "import sys\nprint(sum(map(int, sys.stdin.readline().split())))\nsys.exit(0)", "x = input()\nprint(eval(x.replace(' ', '+')))", "print(TOTAL + 1)", "print('Sum:', 3)",
    "import sys\ninput = sys.stdin.readline\nprint(TOTAL)", "import sys\nprint(sum(int(x) for l in sys.stdin.readlines() for x in l.split()))",
    "print()\nprint(TOTAL)", "print(TOTAL)\nprint()\nprint()", "print(TOTAL)\nprint('x')",
    "s = TOTAL\nprint(f'{s}.000')", "s = TOTAL\nprint(f'  {s}\\t')", "s = TOTAL\nprint(f'{s:+d}')", "s = TOTAL\nprint(f'{s:04d}')",
    "s = TOTAL\nprint(f'{s}e0')", "s = TOTAL\nprint(f'{s}.')", "s = TOTAL\nprint(s, s)", "s = TOTAL\nprint(s + 1e-9)",
    "s = TOTAL\nprint(hex(s))", "s = TOTAL\nprint(complex(s))", "s = TOTAL\nprint(f'{s}\\r')", "s = TOTAL\nprint(f'\\u00a0{s}\\u3000')",
    "s = TOTAL\nprint(f'\\ufeff{s}')", "s = TOTAL\nprint(f'0_{s}')", "s = TOTAL\nprint(f'{s}\\x00')",
    "s = TOTAL\nprint(f'{s}\\u200b')", "print('nan')", "print('Infinity')", "s = TOTAL\nprint('-0' if s == 0 else s)", "s = TOTAL\nprint('-0.0' if s == 0 else s)",
    "import sys\nprint(TOTAL)\nsys.exit(1)", "print(TOTAL)\nexit()", "print(TOTAL)\nraise SystemExit('done')", "print(TOTAL)\nraise ValueError('late')",
    "raise SystemExit", "print(TOTAL)\nassert False", "import sys\nprint('noise', file=sys.stderr)\nprint(TOTAL)", "import sys\nsys.stdout.write(str(TOTAL))",
    "print(TOTAL, flush=True)", "import time\ntime.sleep(30)", "import time\ntime.sleep(0.3)\nprint(TOTAL)", "x = []\nwhile True: x.append(bytearray(1 << 28))", "x = bytearray(16 << 30)\nprint(TOTAL)",
    "x = 'a' * (1 << 20)\nprint(TOTAL)", "def f(n): return n and 1 + f(n - 1)\nf(20000)\nprint(TOTAL)", "def f(n): return f(n + 1)\nf(0)", "input()\ninput()\ninput()\nprint(3)",
    "try:\n    while True: input()\nexcept EOFError:\n    pass\nprint(4)", "print(TOTAL) if True else None", 
    "import threading\ndef main(): print(TOTAL)\nt = threading.Thread(target=main)\nt.start()\nt.join()", "import random\nrandom.seed(1)\nprint(TOTAL)", "print(reduce(add, map(int, input().split())))",
    "print(sum(Counter(map(int, input().split())).elements()))", "heap = list(map(int, input().split()))\nheapify(heap)\nprint(heappop(heap) + heappop(heap))", "import numpy as np\nprint(int(np.array(input().split(), dtype=int).sum()))", "print(pow(TOTAL, 1))",
    "from decimal import Decimal\nprint(sum(map(Decimal, input().split())))", "from fractions import Fraction\nprint(sum(map(Fraction, input().split())))", "total = 0\nfor x in input().split():\n    total += int(x)\nelse:\n    print(total)", "print(*[TOTAL], sep=',')",
    "import re\nprint(sum(map(int, re.findall(r'-?\\d+', input()))))", "print(sum(map(int, input().split(','))))", "from typing import List\ndef f(x: List[int]) -> int:\n    return sum(x)\nprint(f([int(i) for i in input().split()]))", "import this_module_is_not_there\nprint(3)",
    "\tprint(3)", "print 3", "# nothing", "pass", "a = int(input())\nb = int(input())\nprint(a + b)", "x, y = (int(i) for i in input().split())\nprint(x - -y)", "print(TOTAL if input else 0)",
    "@lru_cache(None)\ndef f(a, b): return a + b\nprint(f(*map(int, input().split())))", "with open('/dev/null') as f: pass\nprint(TOTAL)", "import os\nprint(TOTAL if os.path.exists('/') else 0)",
    "def f():\n    yield from map(int, input().split())\nprint(sum(f()))", "print(TOTAL.__repr__())", "match input().split():\n    case [a, b]: print(int(a) + int(b))", "if (s := TOTAL) or True: print(s)",
]  # fmt: skip
SUM_DIFFERING = [
    ("class Solution:\n    def run(self): print(TOTAL)\nSolution().run()", PROCESS),
    ("s = TOTAL\nprint(chr(0xff10 + s) if s >= 0 else s)", "digits of other scripts are no decimals"),
    ("print(sum(map(int, open(0).read().split())))", STREAMS),
    ("import sys\nfor line in sys.stdin:\n    print(sum(map(int, line.split())))", STREAMS), ("import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())))", STREAMS), ("import os\nprint(sum(map(int, os.read(0, 100).split())))", STREAMS),
    ("import sys\nsys.stdout.buffer.write(str(TOTAL).encode())", STREAMS), ("import os\nos.write(1, str(TOTAL).encode())", STREAMS), "import sys\nprint(sum(map(int, (sys.stdin.readline().strip() + ' 0').split())))",
    ("import sys\nx = sys.stdin.readline()[:-1]\nprint(sum(map(int, x.split())))", STREAMS), ("import sys\nprint(sum(map(int, next(sys.stdin).split())))", STREAMS), ("import fileinput\nprint(sum(map(int, next(iter(fileinput.input())).split())))", STREAMS),
    ("print(TOTAL)\nquit()", PROCESS), ("import os\nprint(TOTAL, flush=True)\nos._exit(0)", PROCESS), ("import os\nprint(3)\nos._exit(1)", PROCESS),
    ("n = 0\ndef add(x):\n    global n\n    n += x\nfor x in input().split(): add(int(x))\nprint(n)", PROCESS), ("if '__main__' == __name__:\n    print(TOTAL)", PROCESS), ("print(TOTAL)\nreturn", PROCESS),
    ("from __future__ import annotations\nprint(TOTAL)", PROCESS), ("a, b = map(int, input().split())\nprint(eval('a + b'))", PROCESS), ("a, b = map(int, input().split())\nprint(globals()['a'] + b)", PROCESS), "print(__name__)",
    ("try:\n    while True: pass\nexcept BaseException:\n    pass\nprint(TOTAL)", TIME), ("import signal, time\nsignal.alarm(0)\ntime.sleep(2.4)\nprint(TOTAL)", TIME), ("import os\nif os.fork(): print(3)", PROCESS),
    "if __name__ == '__main__':\n    a, b = map(int, input().split())\n    def f(): return a + b\n    print(f())", ("import subprocess\nprint(subprocess.run(['true']).returncode + 3)", PROCESS), "x = '\\ud800'\nprint(x and TOTAL)",
    ("import sys\nsys.stdout.close()", PROCESS), "import sys\nsys.setrecursionlimit(10**6)\nprint(TOTAL)", ("import os\nprint(TOTAL if os.getcwd() else 0)", PROCESS), ("open('vallm_case.txt', 'w').write('x')\nprint(TOTAL)", PROCESS),
    ("import socket\nsocket.socket()\nprint(TOTAL)", PROCESS), ("import resource\nprint(TOTAL)", PROCESS), ("import sys\nsys.stdin = open(0)\nprint(TOTAL)", STREAMS),
]  # fmt: skip
LINES_PROGRAMS = [
    "for _ in range(int(input())): print(input().upper())", "n = int(input())\nprint('\\n'.join(input().upper() for _ in range(n)))", "n = int(input())\nfor i in range(n): print(input())",
    "import unicodedata\nfor _ in range(int(input())): print(unicodedata.normalize('NFD', input().upper()))", "for _ in range(int(input())): print(input().upper(), end='\\n\\n')", "for _ in range(int(input())): print(' ' + input().upper() + '  ')",
    "n = int(input())\nprint(*[input().upper() for _ in range(n)], sep='\\n')", "n = int(input())\nprint(' '.join(input().upper() for _ in range(n)))", "n = int(input())\nprint('\\r\\n'.join(input().upper() for _ in range(n)))",
    "import sys\nl = sys.stdin.read().split('\\n')\nfor i in range(int(l[0])): print(l[i + 1].upper())", "import sys\nl = sys.stdin.read().splitlines()\nfor x in l[1:]: print(x.upper())", "for _ in range(int(input())): print(ascii(input().upper()))",
    "for _ in range(int(input())): print(input().swapcase())", "for _ in range(int(input())): print(''.join(c.upper() for c in input()))", "for _ in range(int(input())): print(input().upper().replace(' ', '\\u3000'))",
    "n = int(input())\nfor i in range(n - 1): print(input().upper())", "n = int(input())\nprint('\\x0b'.join(input().upper() for _ in range(n)))", "n = int(input())\nprint('\\u2028'.join(input().upper() for _ in range(n)))",
    "for _ in range(int(input())): print(input().upper().encode())", "import sys\nfor _ in range(int(input())): sys.stdout.write(input().upper() + '\\n')", "for _ in range(int(input())): print('\\ud83d' + input())", "n = int(input())\nprint('\\x1c'.join(input().upper() for _ in range(n)))",
]  # fmt: skip
MEAN_PROGRAMS = [
    "n = int(input())\nprint(sum(map(int, input().split())) / n)", "n = int(input())\nprint(round(sum(map(int, input().split())) / n, 6))", "n = int(input())\nprint(mean(map(int, input().split())))", "n = int(input())\nprint(f'{sum(map(int, input().split())) / n:.10f}')",
    "n = int(input())\nprint(f'{sum(map(int, input().split())) / n:.16g}')", "n = int(input())\nprint(f'{sum(map(int, input().split())) / n:.17e}')", "n = int(input())\nprint(f'{sum(map(int, input().split())) / n:.20f}'.rstrip('0'))", "n = int(input())\nprint(sum(map(int, input().split())) // n)",
    "from decimal import Decimal\nn = int(input())\nprint(Decimal(sum(map(int, input().split())) / n))", "n = int(input())\nprint(str(sum(map(int, input().split())) / n).replace('.', ','))", "n = int(input())\nprint(fsum(map(float, input().split())) / n, '')",
]  # fmt: skip
PAIR_PROGRAMS = [
    "n = int(input())\nprint(n, n + 1)", "n = int(input())\nprint(f'{n}\\t{n + 1}')", "n = int(input())\nprint(f'{n}    {n + 1}')", "n = int(input())\nprint(n)\nprint(n + 1)", "n = int(input())\nprint(f'{n},{n + 1}')", "n = int(input())\nprint((n, n + 1))",
    "n = int(input())\nprint([n, n + 1])", "n = int(input())\nprint(float(n), n + 1)", "n = int(input())\nprint(n + 1, n)", "n = int(input())\nprint(n, n + 1, 0)", "n = int(input())\nprint(f'{n}\\u3000{n + 1}')", "n = int(input())\nprint(f'{n}\\u00a0{n + 1}')", "n = int(input())\nprint(f'{n}.{n + 1}')",
]  # fmt: skip

TWICE = [("[1, 2]", "[2, 4]"), ("[]", "[]"), ("[-5]", "[-10]")]
FACT = [("5", "120"), ("25", "15511210043330985984000000"), ("30", "265252859812191058636308480000000")]
FACTS = [("[5, 30]", "[120, 265252859812191058636308480000000]"), ("[25]", "[15511210043330985984000000]")]
COUNT = [('"aab"', '{"a": 2, "b": 1}'), ('"猫"', '{"猫": 1}'), ('""', "{}")]
EVEN = [("4", "true"), ("3", "false")]
GRID = [("[[1, 2], [3, 4]]", "[[1, 3], [2, 4]]"), ("[[7]]", "[[7]]")]
DIGITS = [("12", '{"1": 1, "2": 1}')]
JOIN = [('["é", "猫"]\n"-"', '"é-猫"'), ('["😀"]\n","', '"😀"'), ('[]\n"x"', '""')]
HALF = [("3", "1.5"), ("4", "2.0"), ("1", "0.5")]
NOTHING = [("1", "null")]


def with_reason(case):
    return case if isinstance(case, tuple) else (case, None)


def method(name, body, arguments="x"):
    return f"class Solution:\n    def {name}(self, {arguments}):\n" + "".join(f"        {line}\n" for line in body.split("\n"))


TWICE_CODES = [(method("twice", b), why) for b, why in map(with_reason, [
    "return [2 * i for i in x]", "return tuple(2 * i for i in x)", "return x", "print('debug'); return [i * 2.0 for i in x]", "return list(map(lambda i: i << 1, x))", "return None", "raise ValueError(x)", "return Counter(x)",
    "return [str(2 * i) for i in x]", "for i in range(len(x)): x[i] *= 2\nreturn x", "for i in range(len(x)): x[i] *= 2", "return (2 * i for i in x)", "return map(lambda i: 2 * i, x)", "return set(2 * i for i in x)", "return deque(2 * i for i in x)",
    "return [(2 * i,) for i in x]", "return json.dumps([2 * i for i in x])", "return {i: 2 * i for i in x}", "while True: pass", "import time\ntime.sleep(30)", "exit(0)", "import numpy as np\nreturn np.array(x) * 2", "import numpy as np\nreturn (np.array(x, dtype=int) * 2).tolist()",
    "import numpy as np\nreturn [np.int64(2 * i) for i in x]", "import numpy as np\nreturn [np.float64(2 * i) for i in x]", "return [Fraction(2 * i) for i in x]", "from fractions import Fraction\nreturn [Fraction(2 * i) for i in x]", "from decimal import Decimal\nreturn [Decimal(2 * i) for i in x]", "return [complex(2 * i) for i in x]",
    "return range(2 * x[0], 2 * x[0] + 1) if x else range(0)", "return [2 * i for i in x] + [None]", "return [True if i == 1 else 2 * i for i in x]", "return bytes(x)", "print('\\nresult-1-2:[2, 4]'); return x", "import sys\nsys.stdout = None\nreturn [2 * i for i in x]", "return [2 * i + 1e-9 for i in x]",
    ("self.seen = getattr(self, 'seen', 0) + 1\nreturn [2 * i for i in x] if self.seen == 1 else []", PROCESS), ("class Any:\n    def __eq__(self, other): return True\nreturn Any()", "results are compared as data"), "x = bytearray(16 << 30)\nreturn [2]", "import os\nos._exit(0)", "return [2 * i for i in x] if input is not None else 0",
    "import sys\nreturn [2 * i for i in x] if sys.getrecursionlimit() >= 50000 else []", ("try:\n    while True: pass\nexcept BaseException: return [2 * i for i in x]", TIME), "return [2 * i for i in x", "yield 2", "return lambda: x",
])] + [
    "def twice(x):\n    return [i + i for i in x]", "twice = lambda x: [2 * i for i in x]", method("double", "return [2 * i for i in x]"), "class Other:\n    def twice(self, x): return [2 * i for i in x]", "# class Solution\ndef twice(x): return [2 * i for i in x]",
    "class Solution:\n    @staticmethod\n    def twice(x): return [2 * i for i in x]", "class Solution:\n    @classmethod\n    def twice(cls, x): return [2 * i for i in x]", "class Solution:\n    def __init__(self, k): self.k = k\n    def twice(self, x): return [2 * i for i in x]",
    "class Solution(object):\n    def twice(self, x: List[int], k: int = 2) -> Optional[List[int]]: return [k * i for i in x]", "class Solution:\n    def twice(self, x, y): return [2 * i for i in x]", "print('at import')\n" + method("twice", "return [2 * i for i in x]"), "1/0\n" + method("twice", "return [2 * i for i in x]"),
    "while True: pass\n" + method("twice", "return x"), ("from __future__ import annotations\n" + method("twice", "return [2 * i for i in x]"), PROCESS), method("twice", "return [2 * i for i in x]") + "if __name__ == '__main__':\n    print(Solution().twice([1]))", method("twice", "return [2 * i for i in x]") + "input()",
    ("seen = []\n" + method("twice", "seen.append(x)\nreturn [2 * i for i in seen[0]]"), PROCESS), ("class Solution:\n    def twice(self, x, seen=[]):\n        seen.extend(x)\n        return [2 * i for i in seen]", PROCESS), "import sys\nsys.exit()\n" + method("twice", "return [2 * i for i in x]"),
]  # fmt: skip
FACT_CODES = [method("fact", b) for b in [
    "return factorial(x)", "return math.factorial(x)", "return 1 if x < 2 else x * self.fact(x - 1)", "return float(factorial(x))", "return factorial(x) + 1", "return str(factorial(x))", "return prod(range(1, x + 1))", "return factorial(x) + (x == 30)", "return int(gamma(x + 1))", "return 120",
    "from fractions import Fraction\nreturn Fraction(factorial(x))", "from decimal import Decimal\nreturn Decimal(factorial(x))",
]]  # fmt: skip
FACTS_CODES = [method("facts", b) for b in ["return [factorial(i) for i in x]", "return [factorial(i) + (i > 24) for i in x]", "return [float(factorial(i)) for i in x]", "return tuple(map(factorial, x))", "return [factorial(i) - (i == 30) for i in x]"]]
COUNT_CODES = [method("count", b) for b in [
    "return Counter(x)", "return dict(Counter(x))", "return {c: x.count(c) for c in x}", "return {c: float(x.count(c)) for c in x}", "return list(Counter(x).items())", "d = defaultdict(int)\nfor c in x: d[c] += 1\nreturn d", "return {c: 1 for c in x}", "return OrderedDict(sorted(Counter(x).items(), reverse=True))",
    "return {ord(c): x.count(c) for c in x}", "return json.dumps(Counter(x))", "return {}", "return Counter(x + 'z')",
]]  # fmt: skip
DIGITS_CODES = [method("digits", b) for b in ["return Counter(str(x))", "return Counter(map(int, str(x)))", "return {1: 1, 2: 1}", "return {'1': 1, '2': True}", "return {'1': 1, 2: 1}", "return {'1': 1}"]]
EVEN_CODES = [method("even", b) for b in ["return x % 2 == 0", "return 1 - x % 2", "return not x % 2", "return float(1 - x % 2)", "return 'true' if x % 2 == 0 else 'false'", "return x % 2", "import numpy as np\nreturn np.bool_(x % 2 == 0)", "return [x % 2 == 0]", "return True", "return x & 1 ^ 1", "return str(x % 2 == 0)", "import numpy as np\nreturn np.int64(1 - x % 2)"]]
GRID_CODES = [method("grid", b) for b in ["return [list(r) for r in zip(*x)]", "return list(zip(*x))", "return tuple([list(r) for r in zip(*x)])", "return tuple(zip(*x))", "return x", "return [[float(v) for v in r] for r in zip(*x)]", "import numpy as np\nreturn np.array(x).T.tolist()", "import numpy as np\nreturn [list(r) for r in np.array(x).T]", "import numpy as np\nreturn np.array(x).T", "return [*map(list, zip(*x))]"]]
JOIN_CODES = [method("join", b, "x, s") for b in ["return s.join(x)", "return s.join(x) + ' '", "import unicodedata\nreturn unicodedata.normalize('NFD', s.join(x))", "return list(s.join(x))", "return s.join(x).encode()", "return '\\ud83d' + s.join(x)", "return s.join(x[::-1])", "class S(str): pass\nreturn S(s.join(x))"]]
HALF_CODES = [method("half", b) for b in ["return x / 2", "return x / 2 + 1e-17", "return x // 2", "from fractions import Fraction\nreturn Fraction(x, 2)", "from decimal import Decimal\nreturn Decimal(x) / 2", "return round(x / 2, 3)", "return str(x / 2)", "return float('nan')", "return x * 0.5 + 1e-12", "import numpy as np\nreturn np.float32(x / 2)", "import numpy as np\nreturn np.array(x / 2)", "return complex(x / 2)"]]
NOTHING_CODES = [method("nothing", b) for b in ["pass", "return None", "return 0", "return 'null'", "return []", "return False", "return float('nan')"]]

WRAPS = ["Here is it:\n```python\n{c}\n```\nIt works.", "```\n{c}\n```", "{c}", "```python\n{c}", "```python\n{c}\n```\n```python\nprint(0)\n```", "First think.\n```text\nidea\n```\n```python\n{c}\n```", "  ```python\n{c}\n  ```", "````python\n{c}\n````", "~~~python\n{c}\n~~~", "```python {c} ```", "中文说明：\n```Python\n{c}\n```\n完。",
         "<think>\n```\nno\n```\n</think>\n```python\n{c}\n```", "```python\r\n{c}\r\n```", "```python\n\n\n{c}\n\n\n```", "```py\n{c}\n```", "The code uses ``` fences.\n```python\n{c}\n```"]  # fmt: skip


def row(tests, code, wrap, name, differs):
    """A row of code_generation_lite; the first test is public, the others are packed as the data set packs them."""
    kind = "functional" if name else "stdin"
    packed = [{"input": i, "output": o, "testtype": kind} for i, o in tests]
    private = base64.b64encode(zlib.compress(pickle.dumps(json.dumps(packed[1:])))).decode()
    found = {
        "question_content": "?", "contest_date": "2024-01-01T00:00:00", "starter_code": f"class Solution:\n    def {name}(self):\n" if name else "",
        "metadata": json.dumps({"func_name": name} if name else {}), "public_test_cases": json.dumps(packed[:1]), "private_test_cases": private if tests[1:] else "[]", "output": wrap.format(c=code.replace("TOTAL", "sum(map(int, input().split()))")),
    }  # fmt: skip
    return {**found, "differs": differs} if differs else found


def rows():
    plain = "```python\n{c}\n```"
    groups = [
        (SUM, "", SUM_PROGRAMS + SUM_DIFFERING), (LINES, "", LINES_PROGRAMS), (MEAN, "", MEAN_PROGRAMS), (PAIR, "", PAIR_PROGRAMS), (TWICE, "twice", TWICE_CODES), (FACT, "fact", FACT_CODES), (FACTS, "facts", FACTS_CODES), (COUNT, "count", COUNT_CODES),
        (DIGITS, "digits", DIGITS_CODES), (EVEN, "even", EVEN_CODES), (GRID, "grid", GRID_CODES), (JOIN, "join", JOIN_CODES), (HALF, "half", HALF_CODES), (NOTHING, "nothing", NOTHING_CODES),
    ]  # fmt: skip
    found = [row(tests, code, plain, name, differs) for tests, name, codes in groups for code, differs in map(with_reason, codes)]
    for wrap, code in itertools.product(WRAPS, SUM_PROGRAMS[:4]):
        found.append(row(SUM, code, wrap, "", None))
    for wrap, (code, _) in itertools.product(WRAPS, map(with_reason, TWICE_CODES[:3])):
        found.append(row(TWICE, code, wrap, "twice", None))
    return [{**r, "question_id": str(i)} for i, r in enumerate(found)]
