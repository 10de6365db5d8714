/** One secure completion: a package in, a package out. */
import type { IncomingMessage } from "node:http";
import { openPackage } from "../envelope/open.js";
import { sealBytes } from "../envelope/seal.js";
import type { SecureBuffer } from "../memory/secure-buffer.js";
import type { Locking, TpmAttestationBlock } from "../native.js";
import { notAvailable } from "./attestor.js";
import type { Attestor } from "./attestor.js";
import { readBody } from "../http/request-body.js";
import type { BodyLimits } from "../http/request-body.js";
import { JsonObjectError, scanObject } from "../memory/json-members.js";
import { addMetadata, memoryProtection } from "./metadata.js";
import type { Metadata } from "./metadata.js";
import type { Model } from "./model.js";
import { checkPayloadBinding } from "./payload-binding.js";
import { withView } from "../memory/pool-bytes.js";
import type { PoolBytes } from "../memory/pool-bytes.js";
import { Disconnected, Refusal, unavailable } from "../http/refusal.js";
import { readRequestHeaders } from "./request-headers.js";
import type { SecureRequestHeaders } from "./request-headers.js";
import type { ServerKey } from "./server-key.js";
import type { SecurityTier } from "../chat/security-tier.js";
import { checkModelAllowed } from "./tier-models.js";
import type { TierModels } from "./tier-models.js";

/**
 * Room for `_metadata` beside the largest answer: a block with 16 banks of 24 PCRs and a certificate chain stays under
 * it.
 */
const METADATA_BYTES = 128 * 1024;

/** The longest name of a model, as JSON. */
const MAX_MODEL_BYTES = 1024;

export interface CompletionSettings {
  readonly key: ServerKey;
  readonly model: Model;
  readonly attestor: Attestor | undefined;
  readonly tierModels: TierModels;
  readonly locking: Locking;
  readonly body: BodyLimits;
  readonly maxPlaintextBytes: number;
  readonly maxAnswerBytes: number;
  readonly maxDepth: number;
}

export interface Completion {
  readonly sealed: Uint8Array;
  readonly bodyBytes: number;
  readonly tier: SecurityTier;
}

/** What the HTTP side does for a completion, at its time. */
export interface CompletionHooks {
  /** The headers are accepted and the body is wanted. */
  readonly sendContinue: () => void;
  /** The body is there: throws a `Refusal` when there is no slot for what is to be done now. */
  readonly run: () => void;
}

/**
 * Reads, opens, answers and seals. Rejects with a `Refusal` or, when the client went away, with `Disconnected`;
 * anything else is a defect, or `signal`'s doing.
 */
export async function complete(
  request: IncomingMessage,
  settings: CompletionSettings,
  signal: AbortSignal,
  hooks: CompletionHooks,
): Promise<Completion> {
  const headers = readRequestHeaders(request.headers);
  try {
    return await completeFor(headers, request, settings, signal, hooks);
  } finally {
    // Not left to the collector: that would let strangers decide how many of their keys the pool holds.
    headers.clientKey.dispose();
  }
}

async function completeFor(
  { payloadId, clientKey, clientPem, tier }: SecureRequestHeaders,
  request: IncomingMessage,
  settings: CompletionSettings,
  signal: AbortSignal,
  { sendContinue, run }: CompletionHooks,
): Promise<Completion> {
  const binding = checkPayloadBinding(payloadId, settings.key.public.pem, clientPem);
  if (tier === "maximum" && settings.attestor === undefined) throw noTpm();

  sendContinue();
  const { plaintext, bodyBytes } = await receive(request, settings, run, signal);
  try {
    const model = await prepareRequest(plaintext, settings, signal);
    checkModelAllowed(settings.tierModels, tier, model);
    const quoting = quote(payloadId, tier, settings.attestor, signal);
    // Tier maximum asks for proof first: without it the model never sees the prompt. Otherwise TPM and model work at
    // the same time.
    if (tier === "maximum") await quoting;
    const answering = settings.model.complete(plaintext, signal);
    const [attested, answered] = await Promise.allSettled([quoting, answering]);
    if (answered.status === "rejected") throw answered.reason as Error;
    const answer = answered.value;
    try {
      if (attested.status === "rejected") throw attested.reason as Error;
      const sealed = await sealAnswer(answer, settings, clientKey, {
        payload_id: payloadId,
        security_tier: tier,
        tpm_attestation: attested.value,
        payload_binding: binding,
      });
      return { sealed, bodyBytes, tier };
    } finally {
      answer.dispose();
    }
  } catch (error) {
    throw asRefusal(error);
  } finally {
    plaintext.dispose();
  }
}

/** The request's plaintext. What the body holds of the budget is given back as soon as it is opened, or is not. */
async function receive(
  request: IncomingMessage,
  settings: CompletionSettings,
  run: CompletionHooks["run"],
  signal: AbortSignal,
): Promise<{ readonly plaintext: SecureBuffer; readonly bodyBytes: number }> {
  const body = await readBody(request, settings.body);
  try {
    run();
    return { plaintext: await openRequest(body.bytes, settings, signal), bodyBytes: body.bytes.length };
  } finally {
    settings.body.budget.release(body.held);
  }
}

/** Completes the answer's metadata, and seals it to the client. */
async function sealAnswer(
  answer: PoolBytes,
  settings: CompletionSettings,
  clientKey: SecureRequestHeaders["clientKey"],
  ofRequest: Pick<Metadata, "payload_id" | "security_tier" | "tpm_attestation" | "payload_binding">,
): Promise<Completion["sealed"]> {
  const processedAt = Math.floor(Date.now() / 1000);
  const metadata = {
    processed_at: processedAt,
    is_encrypted: true,
    encryption_algorithm: "hybrid-aes256-rsa4096",
    response_status: "success",
    memory_protection: memoryProtection(settings.locking),
    ...ofRequest,
  } as const;
  await addMetadata(answer, metadata, settings.maxDepth);
  const options = {
    maxPlaintextBytes: settings.maxAnswerBytes + METADATA_BYTES,
    processedAt,
    locking: settings.locking,
  };
  return answer.use((bytes) => sealBytes(clientKey.handle, bytes, options));
}

async function openRequest(body: Uint8Array, settings: CompletionSettings, signal: AbortSignal): Promise<SecureBuffer> {
  if (body.length === 0) throw new Refusal(400, "The body is empty: it must be an encrypted package.");
  if (signal.aborted) throw new Disconnected();
  try {
    const { maxPlaintextBytes, maxDepth, key, locking } = settings;
    const opened = await openPackage(key.private.handle, body, {
      locking,
      signal,
      maxPlaintextBytes,
      maxDepth,
    });
    return opened.take();
  } catch (error) {
    // What the signal's end looks like: there is nobody to answer.
    if (error === signal.reason) throw new Disconnected();
    throw asRefusal(error);
  }
}

/**
 * Takes `stream` and `stream_options` out of the request, since the service never streams, and resolves to the model's
 * name; rejects with a 400 when there is none, or when the model's server could understand another model or another
 * wish to stream than is seen here.
 */
async function prepareRequest(
  request: SecureBuffer,
  { maxDepth, locking }: CompletionSettings,
  signal: AbortSignal,
): Promise<string> {
  const options = { find: ["model"], blank: ["stream", "stream_options"], refuseFolded: true, maxDepth };
  const { found } = await scanObject(request.handle, request.length, options, locking, signal);
  const place = found[0];
  if (place !== null && place !== undefined && place.end - place.begin <= MAX_MODEL_BYTES) {
    const name = withView(request.handle, (view) => new TextDecoder().decode(view.subarray(place.begin, place.end)));
    const value: unknown = JSON.parse(name);
    if (typeof value === "string" && value !== "") return value;
  }
  throw new Refusal(400, `The request needs a model: a string of at most ${MAX_MODEL_BYTES} bytes.`);
}

async function quote(
  payloadId: string,
  tier: SecurityTier,
  attestor: Attestor | undefined,
  signal: AbortSignal,
): Promise<TpmAttestationBlock> {
  const block = attestor === undefined ? notAvailable : await attestor.quote(payloadId, signal);
  if (tier === "maximum" && !block.is_available) throw noTpm();
  return block;
}

function noTpm(): Refusal {
  return unavailable(
    'The security tier "maximum" needs a server with a working TPM, and this one has none at the moment.',
  );
}

/** The answer for an error of the addon. Failures to decrypt say one thing, whatever their cause. */
function asRefusal(error: unknown): unknown {
  if (error instanceof JsonObjectError) return new Refusal(400, `The request is not usable JSON: ${error.message}.`);
  switch ((error as { code?: unknown }).code) {
    case "PACKAGE_FORMAT":
      return new Refusal(400, "The body is not a well-formed encrypted package.");
    case "PACKAGE_ALGORITHM":
      return new Refusal(400, "The package's version or algorithm is not supported.");
    case "DECRYPT":
      return new Refusal(
        400,
        "The package could not be decrypted: it was sealed to another key, or changed on its way. Fetch " +
          "/pki/public_key again.",
      );
    case "PLAINTEXT":
    case "INVALID_UTF8":
      return new Refusal(400, "The package does not hold the JSON of one object.");
    case "TOO_LARGE":
      return new Refusal(400, "The package is larger than this server accepts.");
    case "MEMORY_LOCK":
      return unavailable("The server has not enough lockable memory for this request at the moment.", 1);
    case "OUT_OF_MEMORY":
    case "QUEUE_FULL":
      return unavailable("The server is busy.", 1);
    case "CANCELLED":
      return new Disconnected();
    default:
      return error;
  }
}
