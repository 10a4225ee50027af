#!/usr/bin/env python3
"""Makes the stored reference of the framework test: loss and gradients of a tiny Llama and a tiny GPT-2.

Hugging Face transformers computes them in float64 (the rotary angles in float32) from random weights; one
NAME.safetensors holds the weights under the names of published files (GPT-2's have no "transformer." in front), the
gradients as "grad." + name, "tokens" [2, 17] as float32 and "loss" [1]: mean cross-entropy of tokens[:, 1:] given
tokens[:, :-1]. NAME.config.json is the model's shape.

    pip install torch transformers safetensors
    python tests/reference/make_reference.py

Stored files were made with torch 2.15 and transformers 5.24.
"""
import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

HERE = pathlib.Path(__file__).parent
BATCH, SEQUENCE = 2, 16

# Grouped queries, and rotary scaling that changes every frequency (one of them by the smooth part).
LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 64,
    "max_position_embeddings": 32,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rope_scaling": {
        "rope_type": "llama3",
        "factor": 4.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    },
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": False,
}

# An odd vocabulary, so that its shards are padded; the head is the embedding.
GPT2 = {
    "model_type": "gpt2",
    "architectures": ["GPT2LMHeadModel"],
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 24,
    "vocab_size": 61,
    "layer_norm_epsilon": 1e-5,
    "activation_function": "gelu_new",
    "tie_word_embeddings": True,
}


def randomize(model, seed):
    """Matrices of deviation 0.2, gains around 1, biases around 0: no gradient is small by accident."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        values = torch.randn(parameter.shape, generator=generator) * 0.2
        if parameter.dim() == 1 and name.endswith("weight"):
            values += 1
        parameter.data = values.double()  # exact in float32, too


def make(name, config, model):
    randomize(model, seed=len(name))
    model.double().eval()
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(config["vocab_size"], (BATCH, SEQUENCE + 1), generator=generator)
    logits = model(tokens[:, :-1]).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    loss.backward()

    stored = {"tokens": tokens.float(), "loss": loss.detach().float().reshape(1)}
    for key, parameter in model.named_parameters():  # a tied matrix is listed once
        key = key.removeprefix("transformer.")
        stored[key] = parameter.data.float()
        stored["grad." + key] = parameter.grad.float()
    save_file(stored, HERE / f"{name}.safetensors")
    (HERE / f"{name}.config.json").write_text(json.dumps(config, indent=2) + "\n")
    norm = sum(float(p.grad.square().sum()) for p in model.parameters()) ** 0.5
    print(f"{name}: loss {loss.item():.7f}, gradient norm {norm:.6f}, {len(stored)} tensors")


def main():
    make("llama", LLAMA, LlamaForCausalLM(LlamaConfig(**LLAMA, attn_implementation="eager")))
    dropout = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    make("gpt2", GPT2, GPT2LMHeadModel(GPT2Config(**GPT2, **dropout, attn_implementation="eager")))


if __name__ == "__main__":
    main()
