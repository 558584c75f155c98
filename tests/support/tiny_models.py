"""Models of Hugging Face's kinds and layout, small enough to make and train in a test."""

import json
from pathlib import Path

import torch
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    BertConfig,
    BertModel,
    DebertaV2Config,
    DebertaV2Model,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

PIECES = 4000
"""Of BERT's vocabulary, which is in the order of frequency."""
SMALL = {
    "hidden_size": 32,
    "num_attention_heads": 1,
    "intermediate_size": 64,
    "max_position_embeddings": 512,
}


def encoder(folder: Path, texts: list[str]) -> Path:
    """A DeBERTa, which is what RouterDC trains, with a WordPiece tokenizer. Untrained."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    tokenizer.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=500, special_tokens=list(specials.values()))
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    named = {f"{name}_token": token for name, token in specials.items()}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(folder)
    config = DebertaV2Config(
        **SMALL,
        num_hidden_layers=1,
        vocab_size=tokenizer.get_vocab_size(),
        relative_attention=True,
        position_buckets=16,
        pos_att_type=["p2c", "c2p"],
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        position_biased_input=False,
        pad_token_id=0,
        type_vocab_size=0,
    )
    DebertaV2Model(config).save_pretrained(folder)
    return folder


def minilm(folder: Path, tokenizer: Path, seed: int = 0, outlier: float = 1.0) -> Path:
    """A BERT in the place of MiniLM's, wide enough for the table's dimensions. Untrained.

    tokenizer: the file of one for BERT's vocabulary, of which the first pieces are taken.
    outlier: by which one weight of each output is larger than the others.
    """
    torch.manual_seed(seed)
    config = BertConfig(**SMALL | {"hidden_size": 264}, num_hidden_layers=1, vocab_size=PIECES)
    model = BertModel(config)
    with torch.no_grad():
        for layer in model.encoder.modules():
            if isinstance(layer, torch.nn.Linear):
                layer.weight[:, 0] *= outlier
    model.save_pretrained(folder)
    found = json.loads(tokenizer.read_text("utf-8"))
    pieces = found["model"]["vocab"]
    found["model"]["vocab"] = {piece: number for piece, number in pieces.items() if number < PIECES}
    (folder / "tokenizer.json").write_text(json.dumps(found), "utf-8")
    return folder


def causal_lm(folder: Path, texts: list[str]) -> Path:
    """A Llama with a byte-level BPE tokenizer. Untrained."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=900, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder)
    config = LlamaConfig(
        **SMALL,
        num_hidden_layers=2,
        vocab_size=tokenizer.get_vocab_size(),
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
