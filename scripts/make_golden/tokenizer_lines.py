"""The lines on which tokenizers are compared: 10,000 of them, many scripts, emoji, code, controls, runs of white space.

Made from assets/golden/tokenizer/phrases.txt and a seed by SplitMix64, so that modalities/text/tokenizer/test_lines.cc
makes the very same lines. Run as a program, it prints them as JSON strings, one a line.
"""
import json
import pathlib
import re

PHRASES = pathlib.Path(__file__).resolve().parents[2] / "assets/golden/tokenizer/phrases.txt"
SEED = 20240607
COUNT = 10_000
# Blocks whose code points were all assigned long ago, so that every Unicode version agrees on their classes.
RANGES = [
    (0x20, 0x7E), (0x20, 0x7E), (0x00, 0x1F), (0x7F, 0x9F), (0xA0, 0xFF), (0x100, 0x17F), (0x300, 0x36F),
    (0x391, 0x3A1), (0x3B1, 0x3C9), (0x410, 0x44F), (0x5D0, 0x5EA), (0x627, 0x63A), (0x660, 0x669), (0x905, 0x939),
    (0xE01, 0xE30), (0x1100, 0x1112), (0x1161, 0x1175), (0x1E00, 0x1EFF), (0x2000, 0x200F), (0x2028, 0x202F),
    (0x2030, 0x205E), (0x2080, 0x208E), (0x2150, 0x2188), (0x2190, 0x21FF), (0x2460, 0x249B), (0x3000, 0x303F),
    (0x3041, 0x3096), (0x30A1, 0x30FA), (0x4E00, 0x9FA5), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0xFF01, 0xFF5E),
    (0x1F300, 0x1F5FF), (0x1F600, 0x1F64F), (0x1D400, 0x1D454), (0x20000, 0x2A6D6),
]
SEPARATORS = [" ", "", "  ", "\n", ", ", "\t", "'", "   ", "\n\n", "."]
MASK = (1 << 64) - 1


class SplitMix64:
    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def below(self, bound):
        return self.next() % bound


def unescape(text):
    def one(match):
        token = match.group(0)
        simple = {"\\n": "\n", "\\t": "\t", "\\r": "\r", "\\\\": "\\"}
        return simple[token] if token in simple else chr(int(match.group(1), 16))
    return re.sub(r"\\u\{([0-9A-F]+)\}|\\[ntr\\]", one, text)


def phrases():
    lines = PHRASES.read_text(encoding="utf-8").split("\n")
    return [unescape(line) for line in lines if line and not line.startswith("# ")][:]


def lines():
    pool = phrases()
    random = SplitMix64(SEED)
    for _ in range(COUNT):
        kind = random.below(4)
        parts = []
        for _ in range(1 + random.below(4)):
            if kind == 3:  # random characters of one block
                low, high = RANGES[random.below(len(RANGES))]
                parts.append("".join(chr(low + random.below(high - low + 1)) for _ in range(1 + random.below(8))))
            else:
                phrase = pool[random.below(len(pool))]
                if kind == 2:  # a part of it
                    begin = random.below(len(phrase))
                    phrase = phrase[begin:begin + 1 + random.below(12)]
                parts.append(phrase)
            parts.append(SEPARATORS[random.below(len(SEPARATORS))])
        yield "".join(parts[:-1])


if __name__ == "__main__":
    for line in lines():
        print(json.dumps(line))
