#!/usr/bin/env python3
"""Writes reduced random vision-language models with what transformers computes from pictures and texts.

usage: vision_language.py [OUTPUT_FOLDER]          (default: assets/golden/vision_language)
needs: torch, transformers, Pillow, safetensors (made with torch 2.15, transformers 5.24, Pillow 12.3.0); not needed to run the tests.

Each model is a Hugging Face folder of bf16 weights, drawn from seed 31 by numpy, with the tokenizer of
assets/golden/tokenizer/tiny_character_bpe.json, the special tokens that its kind has, its processor's settings, and a chat template in the
words of the published models. expected.safetensors beside it is computed in float32 from the rounded weights (eager attention, CPU):
  pixels [2, side, side, 3]    the two pictures of assets/golden/images/files as the processor gives them
  rows [2, tokens, width]      what stands for them among the language model's embeddings
  tokens [n], logits_rows, logits    a conversation about both, and logits of some of its tokens
  answer                       the likeliest tokens that follow, one after another
  one_tokens, one_answer       the same of a conversation about the first picture, in the words of expected.json
  llava    CLIP tower (the last layer but one), two products with gelu between, llama; tensors under the names of the published models
  gemma3   SigLIP tower, the mean of 2 x 2 patches, an RMS norm, a product, gemma3; pictures longer than the window
"""
import json
import os
import shutil
import sys

import numpy
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

SEED = 31
FILES = ["assets/golden/images/files/rgb.png", "assets/golden/images/files/gray.png"]
TOKENIZER = "assets/golden/tokenizer/tiny_character_bpe.json"
QUESTIONS = ["What is in these pictures?", "A list, please."]
QUESTION = "What is this?"
ANSWER_TOKENS = 6

LLAVA_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
    "{# Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\\n' }}{% endfor %}"
    "{# Render all text next #}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}")
GEMMA_TEMPLATE = (
    "{{ bos_token }}{%- for message in messages -%}{%- if (message['role'] == 'assistant') -%}{%- set role = \"model\" -%}"
    "{%- else -%}{%- set role = message['role'] -%}{%- endif -%}{{ '<start_of_turn>' + role + '\\n' }}"
    "{%- if message['content'] is string -%}{{ message['content'] | trim }}{%- elif message['content'] is iterable -%}"
    "{%- for item in message['content'] -%}{%- if item['type'] == 'image' -%}{{ '<start_of_image>' }}"
    "{%- elif item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}{%- endfor -%}{%- endif -%}"
    "{{ '<end_of_turn>\\n' }}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<start_of_turn>model\\n' }}{%- endif -%}")


def tokenizer_with(**special):
    return transformers.PreTrainedTokenizerFast(tokenizer_file=TOKENIZER, bos_token="<s>", eos_token="</s>", unk_token="<unk>", **special)


def randomize(model, random):
    """Draws weights, rounds them to bf16, and keeps the rounded values in float32."""
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            drawn = torch.from_numpy(random.standard_normal(tuple(p.shape)).astype(numpy.float32))
            if p.dim() <= 1:
                from_one = "vision_tower" in name or type(model).__name__.startswith("Llava")  # Gemma's norms add 1
                drawn = (1.0 if name.endswith("weight") and from_one else 0.0) + 0.2 * drawn
            elif "embed_tokens" in name:  # small where the output is tied to it, or each token would be followed by itself
                drawn = (0.05 if "gemma" in model.config.model_type else 0.5) * drawn
            elif "embedding" in name and "patch" not in name:
                drawn = 0.5 * drawn
            elif "mm_input_projection" in name:
                drawn = drawn * 1.5 / p.shape[0] ** 0.5
            else:
                drawn = drawn * 1.5 / float(p[0].numel()) ** 0.5
            p.copy_(drawn.bfloat16().float())
    return model.float().eval()


def conversation(questions, pictures):
    first = [{"type": "image"}] * pictures + [{"type": "text", "text": questions[0]}]
    turns = [{"role": "user", "content": first}]
    for question in questions[1:]:
        turns.append({"role": "assistant", "content": [{"type": "text", "text": "Yes."}]})
        turns.append({"role": "user", "content": [{"type": "text", "text": question}]})
    return turns


def inputs_of(processor, messages, pictures):
    text = processor.apply_chat_template(messages, add_generation_prompt=True)
    bos = not text.startswith("<s>")
    inputs = processor(images=pictures, text=text, return_tensors="pt", add_special_tokens=bos)
    return text, inputs


def answer_to(model, inputs):
    with torch.no_grad():
        out = model.generate(**inputs, do_sample=False, max_new_tokens=ANSWER_TOKENS, eos_token_id=None, pad_token_id=0)
    return out[0, inputs["input_ids"].shape[1]:].int().contiguous()


def write(folder, model, processor, published_names=False):
    randomize(model, numpy.random.default_rng(SEED))
    pictures = [Image.open(file).convert("RGB") for file in FILES]
    text, inputs = inputs_of(processor, conversation(QUESTIONS, 2), pictures)
    one_text, one = inputs_of(processor, conversation([QUESTION], 1), pictures[:1])
    with torch.no_grad():
        logits = model(**inputs).logits[0].float()
        rows = model.get_image_features(pixel_values=inputs["pixel_values"]).pooler_output
        rows = torch.stack(list(rows)) if not torch.is_tensor(rows) else rows
    tokens = inputs["input_ids"][0].int()
    wanted = torch.arange(len(tokens) - 1, 0, -len(tokens) // 9).flip(0).int()
    expected = {"pixels": inputs["pixel_values"].permute(0, 2, 3, 1), "rows": rows, "tokens": tokens, "logits_rows": wanted,
                "logits": logits[wanted.long()], "answer": answer_to(model, inputs), "one_tokens": one["input_ids"][0].int(),
                "one_answer": answer_to(model, one)}
    shutil.rmtree(folder, ignore_errors=True)
    model.bfloat16().save_pretrained(folder)
    if published_names:
        file = f"{folder}/model.safetensors"
        tensors = {name.replace("vision_tower.", "vision_tower.vision_model."): tensor for name, tensor in load_file(file).items()}
        save_file(tensors, file, metadata={"format": "pt"})
    processor.save_pretrained(folder)
    processor.image_processor.save_pretrained(folder)
    path = f"{folder}/preprocessor_config.json"
    settings = open(path).read().replace("ProcessorPil", "Processor")
    open(path, "w").write(settings)
    for file in ["generation_config.json", "processor_config.json"]:
        if os.path.exists(f"{folder}/{file}"):
            os.remove(f"{folder}/{file}")
    save_file({name: value.contiguous() for name, value in expected.items()}, f"{folder}/expected.safetensors")
    with open(f"{folder}/expected.json", "w") as file:
        json.dump({"text": text, "questions": QUESTIONS, "one_text": one_text, "question": QUESTION,
                   "one_answer": processor.tokenizer.decode(expected["one_answer"].tolist())}, file, indent=1)
        file.write("\n")


def write_llava(folder):
    tokenizer = tokenizer_with(extra_special_tokens={"image_token": "<image>"})
    processor = transformers.LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24}), tokenizer, patch_size=6,
        vision_feature_select_strategy="default", num_additional_image_tokens=1, chat_template=LLAVA_TEMPLATE)
    config = transformers.LlavaConfig(
        text_config=transformers.LlamaConfig(vocab_size=len(tokenizer) + 3, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
                                             num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256),
        vision_config=transformers.CLIPVisionConfig(hidden_size=24, intermediate_size=48, num_hidden_layers=3, num_attention_heads=3,
                                                    image_size=24, patch_size=6, projection_dim=16),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"), image_seq_length=16, tie_word_embeddings=False)
    config._attn_implementation = "eager"
    write(folder, transformers.LlavaForConditionalGeneration(config), processor, published_names=True)


def write_gemma3(folder):
    tokenizer = tokenizer_with(extra_special_tokens={
        "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"})
    processor = transformers.Gemma3Processor(Gemma3ImageProcessorPil(size={"height": 48, "width": 48}), tokenizer,
                                             chat_template=GEMMA_TEMPLATE, image_seq_length=16)
    ids = {f"{name}_token_index": tokenizer.convert_tokens_to_ids(token) for name, token in
           [("boi", "<start_of_image>"), ("eoi", "<end_of_image>"), ("image", "<image_soft_token>")]}
    config = transformers.Gemma3Config(
        text_config=transformers.Gemma3TextConfig(vocab_size=len(tokenizer) + 5, hidden_size=32, intermediate_size=32, num_hidden_layers=6,
                                                  num_attention_heads=2, num_key_value_heads=1, head_dim=16, sliding_window=9,
                                                  query_pre_attn_scalar=16, max_position_embeddings=256),
        vision_config=transformers.SiglipVisionConfig(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3,
                                                      image_size=48, patch_size=6, vision_use_head=False),
        mm_tokens_per_image=16, **ids)
    config._attn_implementation = "eager"
    write(folder, transformers.Gemma3ForConditionalGeneration(config), processor)


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else "assets/golden/vision_language"
    torch.set_num_threads(1)
    write_llava(f"{out}/llava")
    write_gemma3(f"{out}/gemma3")
    for root, _, files in os.walk(out):
        for file in files:
            os.chmod(os.path.join(root, file), 0o644)


if __name__ == "__main__":
    main()
