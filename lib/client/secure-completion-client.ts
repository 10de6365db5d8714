/** The client whose steps can be called one by one, as the Python class has them. */
import { ConfigurationError } from "../errors.js";
import { openPackage } from "../envelope/open.js";
import { Snapshot } from "../envelope/seal.js";
import type { ChatCompletion } from "../chat/chat-types.js";
import { asCompletion } from "../chat/completion.js";
import { checkServerMetadata, completeMetadata, readServerMetadata } from "../chat/answer-metadata.js";
import { generate } from "./client-keys.js";
import { checkKeyPassword } from "../keys/key-password.js";
import type { KeyPassword } from "../keys/key-password.js";
import { loadPrivateKey, prepareFolder, savePrivateKey } from "../keys/key-store.js";
import type { StoredKey } from "../keys/key-store.js";
import { systemReason } from "../system-reason.js";
import { fromNative } from "../native-error.js";
import { boolean, resolveByTable, text } from "../option-checks.js";
import type { OptionTable } from "../option-checks.js";
import { resolveClientOptions, resolveRequestOptions } from "./options.js";
import type { ClientOptions, RequestOptions } from "./options.js";
import { takeApart } from "../chat/request-parts.js";
import { SecureChannel } from "./secure-channel.js";
import { afterAnswer, beforeSending, toCompletion } from "./secure-chat-completion.js";

/** Options of {@link SecureCompletionClient.generateKeys}. */
export interface GenerateKeysOptions {
  /** Write the pair to `keyDir` too. An existing pair is never replaced. `false` by default. */
  readonly saveToFile?: boolean | undefined;
  /** `client_keys` by default. */
  readonly keyDir?: string | undefined;
  /** At least 8 characters. */
  readonly password?: KeyPassword | undefined;
}

const generateKeysOptions = {
  saveToFile: { otherwise: false, parse: boolean },
  keyDir: { otherwise: "client_keys", parse: text },
  password: { parse: checkKeyPassword },
} satisfies OptionTable<GenerateKeysOptions>;

/**
 * The steps of the protocol one by one, for those who need more than {@link SecureChatCompletion}: the methods of the
 * Python client's class of the same name, in camelCase. Options, errors and security are the same; without {@link
 * generateKeys} or {@link loadKeys} a key is made when it is first needed.
 */
export class SecureCompletionClient implements AsyncDisposable {
  readonly #channel: SecureChannel;

  constructor(options: ClientOptions = {}) {
    this.#channel = new SecureChannel(resolveClientOptions(options));
  }

  /** Makes a new RSA-4096 key pair, off the JavaScript thread, and uses it from now on. */
  async generateKeys(options: GenerateKeysOptions = {}): Promise<void> {
    const { saveToFile, keyDir, password } = resolveByTable(options, generateKeysOptions);
    if (!saveToFile && password !== undefined) {
      throw new ConfigurationError("password", "`password` protects a file: set `saveToFile: true`, or leave it out.");
    }
    const locking = this.#channel.options.secureMemory.locking;
    let made: StoredKey | undefined;
    try {
      if (saveToFile) await prepareFolder(keyDir);
      made = await generate(locking);
      if (saveToFile) await savePrivateKey(keyDir, made.key, password, locking);
    } catch (error) {
      made?.key.dispose();
      const { code, syscall } = error as NodeJS.ErrnoException;
      if (syscall === undefined) throw error;
      throw new ConfigurationError(
        "keyDir",
        code === "EEXIST"
          ? `There is a private key in ${keyDir} already, which is never replaced: load it, or choose another folder.`
          : `A key pair cannot be written to ${keyDir} (${systemReason(error)}).`,
      );
    }
    this.#channel.keys.use(made);
  }

  /**
   * Loads a key pair, as strictly as PROTOCOL section 6 has it, and uses it from now on.
   *
   * @param publicKeyPath - When it is given, the file must belong to the private key.
   */
  async loadKeys(privateKeyPath: string, publicKeyPath?: string, password?: KeyPassword): Promise<void> {
    this.#channel.keys.use(
      await loadPrivateKey(privateKeyPath, publicKeyPath, password, this.#channel.options.secureMemory.locking),
    );
  }

  /** The server's public key as PEM: cached, and checked against the pins. */
  async fetchServerPublicKey(): Promise<string> {
    return (await this.#channel.serverKey(this.#channel.options.baseUrl)).pem;
  }

  /**
   * Seals a payload (any JSON value of an object, up to 10 MiB) to the server's key: the bytes of a package, ready to
   * be sent.
   */
  async encryptPayload(payload: object): Promise<Uint8Array<ArrayBuffer>> {
    const snapshot = new Snapshot(payload);
    try {
      return this.#channel.seal(await this.#channel.serverKey(this.#channel.options.baseUrl), snapshot);
    } finally {
      snapshot.dispose();
    }
  }

  /**
   * Opens an answer that was sealed to this client's key, and completes its `_metadata`.
   *
   * The attestation is not verified here, whatever the option says: use `verifyTpmAttestation` with the same payload
   * id. Nor is the server's `security_tier` compared with anything, since no tier was asked for here.
   *
   * @param body - The bytes as they came.
   * @param payloadId - The id that the request was sent with.
   * @throws ConfigurationError of a client with `receipts`: none would be written.
   */
  async decryptResponse(body: Uint8Array, payloadId: string): Promise<ChatCompletion> {
    const { secureMemory, maxResponseBytes, logger, receipts } = this.#channel.options;
    if (receipts !== undefined) {
      throw new ConfigurationError(
        "receipts",
        "`decryptResponse` writes no receipt: use `sendSecureRequest`, or a client without `receipts`.",
      );
    }
    const lease = await this.#channel.keys.lease((promise) => promise);
    try {
      const opened = await openPackage(lease.key, body, {
        locking: secureMemory.locking,
        maxPlaintextBytes: maxResponseBytes,
        logger,
      });
      try {
        const server = checkServerMetadata(readServerMetadata(opened), payloadId);
        const metadata = completeMetadata(server, payloadId, opened.processedAt, undefined);
        return asCompletion(opened.value(), metadata);
      } finally {
        opened.dispose();
      }
    } catch (error) {
      throw fromNative(error, "opening");
    } finally {
      lease.release();
    }
  }

  /**
   * Seals, sends, opens and verifies: one request with retries, as `SecureChatCompletion.create` without its manners.
   */
  async sendSecureRequest(payload: object, options: RequestOptions = {}): Promise<ChatCompletion> {
    const { taken, resolved } = beforeSending(() => {
      const taken = takeApart(payload);
      return { taken, resolved: resolveRequestOptions(this.#channel.options, options, taken.tier) };
    });
    const answer = await this.#channel.request(taken.payload, taken.model, resolved);
    return afterAnswer(answer, () => toCompletion(answer));
  }

  /** Waits for requests in flight, wipes the keys, closes the connections. */
  close(): Promise<void> {
    return this.#channel.close(false);
  }

  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
