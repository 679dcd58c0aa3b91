#!/usr/bin/env python3
"""Bitmaps and names of emoji, captions, and augmentation: what the three networks learn from.

usage: emoji_data.py --data FOLDER [--font NotoColorEmoji.ttf]
Extracts the font's bitmaps (64 x 64, premultiplied RGBA) and the names of each emoji into FOLDER/emoji.pt.
"""
import argparse
import io
import json
import pathlib
import random
import re
import unicodedata

import numpy as np
import torch
from PIL import Image

SIDE = 64
FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"  # Debian: fonts-noto-color-emoji

BACKGROUNDS = {  # RGB, Chinese name
    "white": ((255, 255, 255), "白色"),
    "blue": ((120, 180, 255), "蓝色"),
    "pink": ((255, 190, 205), "粉色"),
    "green": ((150, 220, 150), "绿色"),
    "yellow": ((255, 240, 150), "黄色"),
    "black": ((20, 20, 20), "黑色"),
    "gray": ((170, 170, 170), "灰色"),
    "purple": ((195, 160, 235), "紫色"),
}
COLORS = {  # hue in degrees, factor of saturation, Chinese name
    "red": (2, 1.0, "红色"),
    "orange": (28, 1.0, "橙色"),
    "yellow": (50, 1.0, "黄色"),
    "green": (125, 1.0, "绿色"),
    "blue": (215, 1.0, "蓝色"),
    "purple": (275, 1.0, "紫色"),
    "pink": (330, 0.6, "粉色"),
}
COLOR_WORD = re.compile(r"\b(red|orange|yellow|green|blue|purple|brown|pink) ")
CHINESE_COLOR = re.compile("^[红橙黄绿蓝紫棕粉青]色?的?")

# A caption is a name alone, or one of each of these around it. What measure.py calls unseen must not be here.
BARE = 0.5
ENGLISH = [["", "a picture of ", "an image of ", "a photo of ", "a drawing of ", "an icon of ", "show me ", "draw ", "paint ",
            "please draw ", "this is ", "i want ", "i want to see ", "can you make ", "give me ", "we need "],
           ["", "", "a ", "the ", "one ", "a cute ", "a little ", "my "],
           ["", "", "", " please", " emoji", " icon", " clip art", " sticker", " for me", "!"]]
CHINESE = [["", "一张", "一个", "一只", "画", "请画", "给我画一个", "这是", "可爱的", "我想要", "我想看"],
           [""],
           ["", "", "的图片", "的图画", "表情", "图标", "吧", "!"]]


# ---- extraction ------------------------------------------------------------------------------------------------------

def glyph_of(code_points, cmap, ligatures):
    """The glyph's name for a sequence of code points, through the font's ligatures; None if it has none."""
    glyphs = []
    for code_point in code_points:
        if code_point == 0xFE0F:  # asks for the coloured form, which all are
            continue
        if code_point not in cmap:
            return None
        glyphs.append(cmap[code_point])
    while len(glyphs) > 1:
        for length in range(len(glyphs), 1, -1):
            if tuple(glyphs[:length]) in ligatures:
                glyphs = [ligatures[tuple(glyphs[:length])]] + glyphs[length:]
                break
        else:
            return None
    return glyphs[0] if glyphs else None


def ligatures_of(font):
    found = {}
    for lookup in font["GSUB"].table.LookupList.Lookup:
        for table in lookup.SubTable:
            table = getattr(table, "ExtSubTable", table)
            if table.LookupType != 4:
                continue
            for first, ligatures in table.ligatures.items():
                for ligature in ligatures:
                    found[(first, *ligature.Component)] = ligature.LigGlyph
    return found


def is_left_out(code_points):
    """Skin tones and flags: hundreds of pictures that differ by little."""
    if any(0x1F3FB <= c <= 0x1F3FF for c in code_points):
        return True
    regional = any(0x1F1E6 <= c <= 0x1F1FF for c in code_points)
    return regional and len(code_points) == 2 or 0xE007F in code_points


def square(png):
    """A bitmap of the font as SIDE x SIDE premultiplied RGBA, u8."""
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    side = max(image.size)
    canvas = Image.new("RGBA", (side, side))
    canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    pixels = np.asarray(canvas, np.float32) / 255
    pixels[..., :3] *= pixels[..., 3:]
    planes = [np.asarray(Image.fromarray(pixels[..., c]).resize((SIDE, SIDE), Image.LANCZOS)) for c in range(4)]
    return (np.stack(planes, -1).clip(0, 1) * 255).round().astype(np.uint8)


def clean(name):
    return re.sub(r"\s+", " ", name.strip(":").replace("_", " ").replace("’", "'")).lower().strip()


def names_of(symbol, entry):
    """The English name first, then aliases and Unicode's own name."""
    names = [clean(entry["en"])] + [clean(alias) for alias in entry.get("alias", [])]
    if len(symbol) == 1 or symbol[1:] == "\ufe0f":
        names.append(unicodedata.name(symbol[0], "").lower())
    return [name for name in dict.fromkeys(names) if re.search("[a-z]", name)]


def extract(font_path, folder):
    import emoji
    from fontTools.ttLib import TTFont

    emoji.config.load_language("zh")
    font = TTFont(font_path)
    strike, cmap, ligatures = font["CBDT"].strikeData[0], font.getBestCmap(), ligatures_of(font)
    rows, pictures, seen = [], [], {}
    for symbol, entry in emoji.EMOJI_DATA.items():
        code_points = [ord(c) for c in symbol]
        if entry["status"] != emoji.STATUS["fully_qualified"] or is_left_out(code_points):
            continue
        glyph = glyph_of(code_points, cmap, ligatures)
        if glyph is None or glyph not in strike:
            continue
        pixels = square(strike[glyph].imageData)
        names = names_of(symbol, entry)
        key = pixels.tobytes()
        if key in seen:  # one picture, two names
            rows[seen[key]]["alias"].append(clean(entry["en"]))
            continue
        seen[key] = len(rows)
        rows.append({"emoji": symbol, "en": clean(entry["en"]), "zh": clean(entry.get("zh", "")), "alias": names[1:]})
        pictures.append(torch.from_numpy(pixels))
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"rows": rows, "rgba": torch.stack(pictures)}, folder / "emoji.pt")
    (folder / "names.json").write_text(json.dumps(rows, ensure_ascii=False, indent=0))
    print(f"{len(rows)} emoji in {folder / 'emoji.pt'}")


# ---- pictures --------------------------------------------------------------------------------------------------------

def load(folder, doubles=True):
    """Rows of names, and premultiplied RGBA pictures, u8 [count, 4, SIDE, SIDE]; mirrored doubles only if asked for."""
    data = torch.load(pathlib.Path(folder) / "emoji.pt", weights_only=False)
    keep = [i for i, row in enumerate(data["rows"]) if doubles or "facing right" not in row["en"]]
    return [data["rows"][i] for i in keep], data["rgba"][keep].permute(0, 3, 1, 2).contiguous()


def composite(rgba, background):
    """Pictures in 0..1 over a background ([count, 3] in 0..1): RGB in -1..1, as the networks take it."""
    return (rgba[:, :3] + (1 - rgba[:, 3:]) * background[:, :, None, None]).clamp(0, 1) * 2 - 1


def on_white(rgba):
    return composite(rgba.float() / 255, torch.ones(len(rgba), 3, device=rgba.device))


def to_hsv(rgb):
    """RGB in 0..1 [count, 3, ...]: hue in turns, saturation, value."""
    value, largest = rgb.max(1)
    chroma = (value - rgb.min(1).values).clamp(min=1e-6)
    r, g, b = rgb.unbind(1)
    hue = torch.where(largest == 0, (g - b) / chroma,
                      torch.where(largest == 1, 2 + (b - r) / chroma, 4 + (r - g) / chroma)) / 6 % 1
    return hue, (value - rgb.min(1).values) / value.clamp(min=1e-6), value


def to_rgb(hue, saturation, value):
    def component(offset):
        k = (offset + hue * 6) % 6
        return value - value * saturation * torch.minimum(k, 4 - k).clamp(0, 1)

    return torch.stack([component(5), component(3), component(1)], 1)


def main_hue(rgba):
    """Of each picture: its mean hue in turns, how concentrated it is (0..1), the share of coloured pixels."""
    pixels = rgba.float() / 255
    hue, saturation, value = to_hsv(pixels[:, :3])
    weight = ((saturation > 0.3) & (value > 0.2) & (pixels[:, 3] > 0.5)).float()
    count = weight.sum((1, 2)).clamp(min=1)
    x = (weight * torch.cos(hue * 2 * torch.pi)).sum((1, 2)) / count
    y = (weight * torch.sin(hue * 2 * torch.pi)).sum((1, 2)) / count
    opaque = (pixels[:, 3] > 0.5).float().sum((1, 2)).clamp(min=1)
    return torch.atan2(y, x) / (2 * torch.pi) % 1, (x * x + y * y).sqrt(), count / opaque


def recolor(rgba, turns, factor):
    """Pictures [count, 4, SIDE, SIDE] in 0..1, each with its hue turned and its saturation multiplied."""
    hue, saturation, value = to_hsv(rgba[:, :3])
    rgb = to_rgb((hue + turns[:, None, None]) % 1, saturation * factor[:, None, None], value)
    return torch.cat([rgb, rgba[:, 3:]], 1)


def recolored_row(row, color):
    """The names of a recoloured emoji: its own colour word is replaced."""
    english, chinese = COLOR_WORD.sub("", row["en"]), row["zh"]
    if english != row["en"] and len(chinese) > 1:
        chinese = CHINESE_COLOR.sub("", chinese)
    return {"en": f"{color} {english}", "zh": f"{COLORS[color][2]}的{chinese}", "alias": []}


def jitter(rgba, share, scale=(0.8, 1.05), shift=0.08):
    """Small random scales and shifts of a share of the pictures; what comes in from outside is transparent."""
    count, device = len(rgba), rgba.device
    moved = torch.rand(count, device=device) < share
    scales = torch.empty(count, device=device).uniform_(*scale)
    transform = torch.zeros(count, 2, 3, device=device)
    transform[:, 0, 0] = transform[:, 1, 1] = torch.where(moved, 1 / scales, 1)
    transform[:, :, 2] = torch.empty(count, 2, device=device).uniform_(-shift, shift) * 2 * moved[:, None]
    grid = torch.nn.functional.affine_grid(transform, list(rgba.shape), align_corners=False)
    return torch.nn.functional.grid_sample(rgba, grid, align_corners=False)


# ---- examples --------------------------------------------------------------------------------------------------------

def phrase(name, parts):
    before, article, after = (random.choice(part) for part in parts)
    return before + article + name + after


def caption(row, background=None):
    """A random caption in English or Chinese; names the background if there is one."""
    bare = random.random() < BARE
    if row["zh"] and random.random() < 0.35:
        text = row["zh"] if bare else phrase(row["zh"], CHINESE)
        if not background:
            return text
        name = BACKGROUNDS[background][1]
        return f"{name}背景上的{text}" if random.random() < 0.5 else f"{text},{name}背景"
    name = random.choice(row["alias"]) if row["alias"] and random.random() < 0.25 else row["en"]
    words = name.split()
    if len(words) == 2 and random.random() < 0.05:
        name = f"{words[1]}, {words[0]}"
    text = name if bare else re.sub(r"\ba ([aeiou])", r"an \1", phrase(name, ENGLISH))
    if background:
        text = f"{text} on a {background} background"
    return text if random.random() < 0.9 else text.capitalize()


class Examples:
    """Each emoji in some variants, each variant with some captions, drawn once; pictures are made of them on the device.

    Example i is variant i // len(rows) of emoji i % len(rows); its captions are those from i * captions on. With the given
    probabilities a variant has a coloured background, and, where it makes sense, another colour; its captions say so.
    """

    def __init__(self, data, device, variants, captions, background, color):
        self.rows, self.rgba = load(data, doubles=False)
        self.variants, self.n_captions = variants, captions
        hue, concentration, share = main_hue(self.rgba)
        can_recolor = (concentration > 0.9) & (share > 0.4)
        self.captions, backgrounds, turns, factors = [], [], [], []
        for _ in range(variants):
            for i, row in enumerate(self.rows):
                turn, factor, behind = 0.0, 1.0, None
                if can_recolor[i] and random.random() < color:
                    far = [c for c, (to, _, _) in COLORS.items() if abs((to - float(hue[i]) * 360 + 180) % 360 - 180) > 20]
                    name = random.choice(far)
                    row, turn, factor = recolored_row(row, name), COLORS[name][0] / 360 - float(hue[i]), COLORS[name][1]
                if random.random() < background:
                    behind = random.choice([b for b in BACKGROUNDS if b != "white"])
                backgrounds.append(BACKGROUNDS[behind or "white"][0])
                turns.append(turn)
                factors.append(factor)
                self.captions += [caption(row, behind) for _ in range(captions)]
        self.rgba = self.rgba.to(device)
        self.backgrounds = torch.tensor(backgrounds, device=device) / 255
        self.turns, self.factors = torch.tensor(turns, device=device), torch.tensor(factors, device=device)

    def __len__(self):
        return self.variants * len(self.rows)

    def pictures(self, examples, shifted):
        """RGB in -1..1 [count, 3, SIDE, SIDE] of the examples (a tensor of indices), a share of them shifted a little."""
        rgba = self.rgba[examples % len(self.rows)].float() / 255
        rgba = jitter(recolor(rgba, self.turns[examples], self.factors[examples]), shifted)
        return composite(rgba, self.backgrounds[examples])

    def sample(self, count):
        """Random examples, each of another emoji, while there are enough."""
        device, emoji = self.rgba.device, len(self.rows)
        chosen = torch.rand(emoji, device=device).argsort()[:count]
        return torch.randint(self.variants, (len(chosen),), device=device) * emoji + chosen


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder for emoji.pt")
    parser.add_argument("--font", default=FONT)
    given = parser.parse_args()
    extract(given.font, given.data)
