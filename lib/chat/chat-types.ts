/**
 * The types of a chat completion, as OpenAI's API has them. Known parameters are typed; `create` takes any others too
 * and passes them on untouched. `openai`'s own parameter types are accepted, and answers are assignable to its
 * `ChatCompletion`.
 */
import type { AttestationReport } from "../attestation/report.js";
import type { SecurityTier } from "./security-tier.js";
import type { SecureBuffer } from "../memory/secure-buffer.js";
import type { TpmAttestationBlock } from "../native.js";

/** Text; as a {@link SecureBuffer} (UTF-8) it goes into the sealed package without ever being a JavaScript string. */
export type Text = string | SecureBuffer;

/** A part of a message's content, e.g. `{ type: "text", text }` or `{ type: "image_url", image_url: { url } }`. */
export interface ContentPart {
  readonly type: string;
  readonly text?: Text | undefined;
}

/** One message of a request. */
export interface ChatMessage {
  readonly role: "developer" | "system" | "user" | "assistant" | "tool" | "function";
  readonly content?: Text | readonly ContentPart[] | null | undefined;
  readonly name?: string | undefined;
  readonly tool_call_id?: string | undefined;
  readonly tool_calls?: readonly object[] | undefined;
}

/** A request. Everything that is not named here passes through as it is. */
export interface ChatCompletionRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly temperature?: number | null | undefined;
  readonly top_p?: number | null | undefined;
  readonly n?: number | null | undefined;
  readonly max_tokens?: number | null | undefined;
  readonly max_completion_tokens?: number | null | undefined;
  readonly stop?: string | readonly string[] | null | undefined;
  readonly presence_penalty?: number | null | undefined;
  readonly frequency_penalty?: number | null | undefined;
  readonly logit_bias?: Readonly<Record<string, number>> | null | undefined;
  readonly logprobs?: boolean | null | undefined;
  readonly top_logprobs?: number | null | undefined;
  readonly seed?: number | null | undefined;
  readonly tools?: readonly object[] | undefined;
  readonly tool_choice?: string | object | undefined;
  readonly parallel_tool_calls?: boolean | undefined;
  readonly response_format?: object | undefined;
  readonly reasoning_effort?: string | null | undefined;
  readonly user?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | null | undefined;
  readonly stream?: boolean | null | undefined;
  readonly stream_options?: StreamOptions | null | undefined;
  /** What the server must offer. Travels in a header, never in the sealed payload. */
  readonly security_tier?: SecurityTier | undefined;
}

/** OpenAI's `stream_options`. */
export interface StreamOptions {
  /** A last chunk with the token counts, and without choices. */
  readonly include_usage?: boolean | undefined;
}

/** A request whose answer comes whole. */
export interface ChatCompletionRequestNonStreaming extends ChatCompletionRequest {
  readonly stream?: false | null | undefined;
}

/** A request whose answer comes as chunks, made here of the whole: a package is opened whole or not at all. */
export interface ChatCompletionRequestStreaming extends ChatCompletionRequest {
  readonly stream: true;
}

/** A function that the model wants called. `arguments` is JSON as the model wrote it: check it. */
export interface FunctionToolCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

/** A tool without a schema that the model wants called; `input` is its text. */
export interface CustomToolCall {
  id: string;
  type: "custom";
  custom: { name: string; input: string };
}

/** A token, its UTF-8 bytes, the natural logarithm of its probability, and the likeliest others in its place. */
export interface TokenLogprob {
  token: string;
  bytes: number[] | null;
  logprob: number;
  top_logprobs: { token: string; bytes: number[] | null; logprob: number }[];
}

/** Log probabilities of the tokens of an answer, where the request asked for them. */
export interface Logprobs {
  content: TokenLogprob[] | null;
  refusal: TokenLogprob[] | null;
}

/** What the model says: text, a refusal, or tools to call. */
export interface CompletionMessage {
  role: "assistant";
  content: string | null;
  refusal: string | null;
  tool_calls?: (FunctionToolCall | CustomToolCall)[];
  function_call?: { name: string; arguments: string } | null;
  /** Some servers' separate field for a model's thinking. */
  reasoning_content?: string | null;
}

/** Why the model stopped. After `length` the text is cut off. */
export type FinishReason = "stop" | "length" | "tool_calls" | "content_filter" | "function_call";

/** One of the answers that `n` asked for. */
export interface CompletionChoice {
  index: number;
  finish_reason: FinishReason;
  logprobs: Logprobs | null;
  message: CompletionMessage;
}

/** Numbers of tokens, as the server counts them. */
export interface CompletionUsage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

/** `_metadata` of an answer (PROTOCOL section 3). */
export interface AnswerMetadata {
  /** The id of the attempt that was answered. */
  payload_id: string;
  /** Unix seconds, as the server says. */
  processed_at?: number;
  is_encrypted: true;
  encryption_algorithm: string;
  response_status?: string;
  security_tier?: SecurityTier;
  /** The server's own memory protection, as it says. */
  memory_protection?: Record<string, unknown>;
  /** The server's GPU, with hashed ids, as it says. */
  cuda_device?: Record<string, unknown>;
  /** As the server sent it. Believe `attestation_report` only. */
  tpm_attestation?: TpmAttestationBlock;
  /** What this client found about `tpm_attestation`; absent with `attestation: "off"`. */
  attestation_report?: AttestationReport;
  [field: string]: unknown;
}

/** An answer: OpenAI's `ChatCompletion`, and `_metadata`. */
export interface ChatCompletion {
  id: string;
  object: "chat.completion";
  created: number;
  model: string;
  choices: CompletionChoice[];
  usage?: CompletionUsage;
  system_fingerprint?: string;
  _metadata: AnswerMetadata;
}

/** A piece of a tool call; pieces of one call share their `index`. */
export interface ToolCallDelta {
  index: number;
  id?: string;
  type?: "function";
  function?: { name?: string; arguments?: string };
}

/** What a chunk adds to its message. */
export interface ChunkDelta {
  role?: "assistant";
  content?: string | null;
  refusal?: string | null;
  tool_calls?: ToolCallDelta[];
  reasoning_content?: string | null;
}

/** A chunk's part of one answer. */
export interface ChunkChoice {
  index: number;
  delta: ChunkDelta;
  finish_reason: FinishReason | null;
  logprobs?: Logprobs | null;
}

/** A piece of an answer: OpenAI's `ChatCompletionChunk`; the last one has `_metadata`. */
export interface ChatCompletionChunk {
  id: string;
  object: "chat.completion.chunk";
  created: number;
  model: string;
  choices: ChunkChoice[];
  usage?: CompletionUsage | null;
  system_fingerprint?: string;
  _metadata?: AnswerMetadata;
}
