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

# A name alone is the likeliest caption.
ENGLISH = ["{n}", "{n}", "{n}", "a {n}", "a picture of {n}", "{n} emoji", "an image of {n}", "a photo of {n}",
           "a drawing of a {n}", "the {n}", "an icon of {n}", "a picture of a {n}", "show me a {n}", "draw {n} please",
           "this is a {n}", "i want to see the {n}", "a cute little {n}", "{n} clip art"]
CHINESE = ["{n}", "{n}", "{n}", "一张{n}的图片", "{n}表情", "{n}的图画", "一个{n}", "{n}图标", "请画{n}", "这是{n}", "可爱的{n}"]


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

def load(folder):
    """Rows of names, and premultiplied RGBA pictures, u8 [count, 4, SIDE, SIDE]."""
    data = torch.load(pathlib.Path(folder) / "emoji.pt", weights_only=False)
    return data["rows"], data["rgba"].permute(0, 3, 1, 2).contiguous()


def composite(rgba, background):
    """Over a background ([count, 3] in 0..1): RGB in -1..1, as the networks take it."""
    pixels = rgba.float() / 255
    return (pixels[:, :3] + (1 - pixels[:, 3:]) * background[:, :, None, None]).clamp(0, 1) * 2 - 1


def on_white(rgba):
    return composite(rgba, torch.ones(len(rgba), 3))


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


def recolor(rgba, hue, color):
    """One picture [4, SIDE, SIDE] of the given main hue in another colour."""
    target, saturation_factor, _ = COLORS[color]
    h, s, v = to_hsv(rgba[None, :3].float() / 255)
    rgb = to_rgb((h + target / 360 - hue) % 1, s * saturation_factor, v)[0]
    return torch.cat([(rgb * 255).round().clamp(0, 255).to(torch.uint8), rgba[3:]])


def recolored_row(row, color):
    """The names of a recoloured emoji: its own colour word is replaced."""
    english, chinese = COLOR_WORD.sub("", row["en"]), row["zh"]
    if english != row["en"] and len(chinese) > 1:
        chinese = CHINESE_COLOR.sub("", chinese)
    return {"en": f"{color} {english}", "zh": f"{COLORS[color][2]}的{chinese}", "alias": []}


def jitter(rgba, scale=(0.8, 1.05), shift=0.08):
    """Small random scales and shifts; what comes in from outside is transparent."""
    count = len(rgba)
    transform = torch.zeros(count, 2, 3)
    transform[:, 0, 0] = transform[:, 1, 1] = 1 / torch.empty(count).uniform_(*scale)
    transform[:, :, 2] = torch.empty(count, 2).uniform_(-shift, shift) * 2
    grid = torch.nn.functional.affine_grid(transform, list(rgba.shape), align_corners=False)
    return torch.nn.functional.grid_sample(rgba.float(), grid, align_corners=False).round().to(torch.uint8)


# ---- examples --------------------------------------------------------------------------------------------------------

def caption(row, background=None, rng=random):
    """A random caption in English or Chinese; names the background if there is one."""
    if row["zh"] and rng.random() < 0.35:
        text = rng.choice(CHINESE).format(n=row["zh"])
        if not background:
            return text
        name = BACKGROUNDS[background][1]
        return f"{name}背景上的{text}" if rng.random() < 0.5 else f"{text},{name}背景"
    name = rng.choice(row["alias"]) if row["alias"] and rng.random() < 0.25 else row["en"]
    words = name.split()
    if len(words) == 2 and rng.random() < 0.1:
        name = f"{words[1]}, {words[0]}"
    text = re.sub(r"\ba ([aeiou])", r"an \1", rng.choice(ENGLISH).format(n=name))
    if background:
        text = f"{text} on a {background} background"
    return text if rng.random() < 0.85 else text.capitalize()


class Sampler:
    """Random training examples. Probabilities: of a coloured background, a new colour, a small shift."""

    def __init__(self, data, background=0.15, color=0.12, shift=0.5):
        rows, rgba = load(data)
        keep = [i for i, row in enumerate(rows) if "facing right" not in row["en"]]  # doubles, mirrored
        self.rows, self.rgba = [rows[i] for i in keep], rgba[keep]
        self.hue, concentration, share = main_hue(self.rgba)
        self.can_recolor = (concentration > 0.9) & (share > 0.4)
        self.p_background, self.p_color, self.p_shift = background, color, shift

    def batch(self, indices, captions=1):
        """RGB in -1..1 [count, 3, SIDE, SIDE], and a caption for each (lists of captions for captions > 1)."""
        pictures, backgrounds, texts = [], [], []
        for i in indices:
            row, picture, background = self.rows[i], self.rgba[i], None
            if self.can_recolor[i] and random.random() < 2 * self.p_color:
                hue = float(self.hue[i])
                far = [c for c, (to, _, _) in COLORS.items() if abs((to - hue * 360 + 180) % 360 - 180) > 20]
                color = random.choice(far)
                row, picture = recolored_row(row, color), recolor(picture, hue, color)
            if random.random() < self.p_background:
                background = random.choice([b for b in BACKGROUNDS if b != "white"])
            pictures.append(picture)
            backgrounds.append(BACKGROUNDS[background or "white"][0])
            texts.append([caption(row, background) for _ in range(captions)])
        rgba = torch.stack(pictures)
        moved = torch.rand(len(rgba)) < self.p_shift
        if moved.any():
            rgba[moved] = jitter(rgba[moved])
        images = composite(rgba, torch.tensor(backgrounds) / 255)
        return images, [t[0] for t in texts] if captions == 1 else texts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder for emoji.pt")
    parser.add_argument("--font", default=FONT)
    given = parser.parse_args()
    extract(given.font, given.data)
