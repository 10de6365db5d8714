"""A language model of random weights, for scripts/try-engine: an engine takes it for one, and what it says is noise.
It knows two things: that a tool is called after a tab, with which its template ends where there are tools, and that all
is said after a ">", with which a call ends. (An engine lets a model say something before it calls, or call again, and
noise would never come to a call, or to an end.)

  engine-model.py FILE      writes a GGUF file; needs python3-gguf
"""

import sys

import gguf
import numpy

WIDTH, LAYERS, HEADS, INNER, CONTEXT = 64, 2, 4, 128, 8192
SPECIAL = ["<unk>", "<s>", "</s>"]
# Every byte can be read; what is said is printable ASCII.
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
TEXT = ["\u2581"] + [chr(code) for code in range(0x21, 0x7F)]
CALL, END = "<tool_call>", "</tool_call>"
TOKENS = SPECIAL + BYTES + TEXT + [CALL]
random = numpy.random.default_rng(1)


def weights(rows: int, columns: int) -> numpy.ndarray:
    return random.normal(0, columns**-0.5, (rows, columns)).astype(numpy.float32)


writer = gguf.GGUFWriter(sys.argv[1], "llama")
writer.add_name("random")
writer.add_context_length(CONTEXT)
writer.add_embedding_length(WIDTH)
writer.add_block_count(LAYERS)
writer.add_feed_forward_length(INNER)
writer.add_head_count(HEADS)
writer.add_head_count_kv(HEADS)
writer.add_rope_dimension_count(WIDTH // HEADS)
writer.add_layer_norm_rms_eps(1e-5)
writer.add_vocab_size(len(TOKENS))
writer.add_tokenizer_model("llama")
writer.add_token_list(TOKENS)
writer.add_token_scores([0.0] * len(TOKENS))
kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
writer.add_token_types(kinds + [gguf.TokenType.BYTE] * len(BYTES) + [gguf.TokenType.NORMAL] * len(TEXT + [CALL]))
writer.add_unk_token_id(0)
writer.add_bos_token_id(1)
writer.add_eos_token_id(2)
writer.add_chat_template(
    "{% if tools %}system: {{ tools | tojson }}\n{% endif %}"
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] or '' }}"
    "{% for call in message['tool_calls'] or [] %}"
    + CALL
    + "{\"name\": \"{{ call['function']['name'] }}\", \"arguments\": {{ call['function']['arguments'] | tojson }}}"
    + END
    + "{% endfor %}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% if tools %}\t{% endif %}{% endif %}"
)

# No layer changes the first three numbers of a token's place in space. The first is large: what the output makes of it
# is a bias. The second is a tab's own, and is for calling; the third that of ">", for ending.
embedding = weights(len(TOKENS), WIDTH)
embedding[:, :3] = 1, 0, 0
embedding[TOKENS.index("<0x09>"), 1] = 10
embedding[TOKENS.index(">"), 2] = 10
output = weights(len(TOKENS), WIDTH) * 4
output[:, 0] = 0
output[: len(SPECIAL) + len(BYTES), 0] = -40
output[TOKENS.index("</s>"), 0] = 0
output[TOKENS.index(CALL), :2] = -40, 40
output[TOKENS.index("</s>"), 2] = 40
writer.add_tensor("token_embd.weight", embedding)
writer.add_tensor("output_norm.weight", numpy.ones(WIDTH, numpy.float32))
writer.add_tensor("output.weight", output)
for layer in range(LAYERS):
    block = f"blk.{layer}"
    for name in ["attn_norm", "ffn_norm"]:
        writer.add_tensor(f"{block}.{name}.weight", numpy.ones(WIDTH, numpy.float32))
    for name in ["attn_q", "attn_k", "attn_v"]:
        writer.add_tensor(f"{block}.{name}.weight", weights(WIDTH, WIDTH))
    for name, columns in [("attn_output", WIDTH), ("ffn_down", INNER)]:
        into = weights(WIDTH, columns)
        into[:3, :] = 0
        writer.add_tensor(f"{block}.{name}.weight", into)
    for name in ["ffn_gate", "ffn_up"]:
        writer.add_tensor(f"{block}.{name}.weight", weights(INNER, WIDTH))

writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
