#!/usr/bin/env python3
"""Measures a trained model and draws a sheet of 36 prompts, through diffusers and transformers as they are.

usage: measure.py --data FOLDER --out FOLDER [--to FOLDER] [--steps 20] [--guidance 4] [--device cuda] [--threads N]
Reads OUT/sd and OUT/clip; writes metrics.json and contact_sheet.png into --to, which is OUT unless given.
"""
import argparse
import json
import pathlib
import random

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image, ImageDraw, ImageFont
from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

import emoji_data
from train_clip import embed, top_rates

NAMES = 100
PROMPTS = [
    "red apple", "dog face", "rocket", "pizza", "grinning face", "automobile", "guitar", "sunflower", "owl",
    "tropical fish", "house", "soccer ball", "红苹果", "猫脸", "玫瑰", "公共汽车", "西瓜", "一张蛋糕的图片",
    "heart", "a picture of a hamburger", "an image of a tiger", "penguin", "woman running", "key", "blue apple",
    "green dog face", "purple pizza", "蓝色的玫瑰", "pink rocket", "cat face on a blue background",
    "rocket on a black background", "yellow elephant", "cat with sunglasses", "a dog and a pizza", "green car",
    "绿色背景上的企鹅"]
CHINESE_FONT = "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"  # Debian: fonts-wqy-microhei


class Painter:
    def __init__(self, folder, steps, guidance, device):
        self.pipeline = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32).to(device)
        self.pipeline.set_progress_bar_config(disable=True)
        self.steps, self.guidance = steps, guidance

    def paint(self, prompts, seed, size=25):
        images, side = [], emoji_data.SIDE
        for begin in range(0, len(prompts), size):
            generator = torch.Generator().manual_seed(seed + begin)  # a CPU's numbers on every device
            images += self.pipeline(prompts[begin:begin + size], height=side, width=side, generator=generator,
                                    num_inference_steps=self.steps, guidance_scale=self.guidance).images
        return images


def font_for(text):
    if not text.isascii():
        try:
            return ImageFont.truetype(CHINESE_FONT, 12)
        except OSError:
            pass
    return ImageFont.load_default(11)


def draw_sheet(images, path, columns=9, side=128):
    cell_width, cell_height = side + 8, side + 24
    sheet = Image.new("RGB", (columns * cell_width, -(-len(images) // columns) * cell_height), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (prompt, image) in enumerate(zip(PROMPTS, images)):
        x, y = i % columns * cell_width + 4, i // columns * cell_height + 4
        sheet.paste(image.resize((side, side), Image.BICUBIC), (x, y))
        draw.text((x, y + side + 2), prompt[:24], fill="black", font=font_for(prompt))
    sheet.save(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder with emoji.pt")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder with sd/ and clip/")
    parser.add_argument("--to", type=pathlib.Path, help="folder for what is written")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    to = given.to or given.out
    to.mkdir(parents=True, exist_ok=True)
    painter = Painter(given.out / "sd", given.steps, given.guidance, given.device)
    clip = CLIPModel.from_pretrained(given.out / "clip", dtype=torch.float32).to(given.device).eval()
    tokenizer = CLIPTokenizer.from_pretrained(given.out / "clip")
    processor = CLIPImageProcessor.from_pretrained(given.out / "clip")
    rows, rgba = emoji_data.load(given.data, doubles=False)
    real = emoji_data.on_white(rgba)
    random.seed(7)
    picked = random.sample(range(len(rows)), min(NAMES, len(rows)))
    target = torch.tensor(picked)
    metrics = {"steps": given.steps, "guidance": given.guidance, "names": len(picked), "of": len(rows)}
    for language, label in (("en", "English"), ("zh", "Chinese")):
        names = embed(clip, tokenizer, [row[language] for row in rows])
        images = painter.paint([rows[i][language] for i in picked], seed=0)
        pixels = processor(images, return_tensors="pt").pixel_values.float().cpu()
        distance = torch.cdist(pixels.flatten(1), real.flatten(1))
        metrics[label] = {
            "painted picture to its name by CLIP, top 1 and 5": top_rates(embed(clip, tokenizer, images=pixels) @ names.T, target),
            "nearest training picture by pixels, top 1 and 5": top_rates(-distance, target),
            "the font's pictures to their names by CLIP, top 1 and 5":
                top_rates(embed(clip, tokenizer, images=real[picked]) @ names.T, target),
        }
    (to / "metrics.json").write_text(json.dumps(metrics, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(metrics, indent=1, ensure_ascii=False))
    draw_sheet(painter.paint(PROMPTS, seed=3), to / "contact_sheet.png")


if __name__ == "__main__":
    main()
