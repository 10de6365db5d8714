/** What the proxy answers: each request's head decides which of these it is, and whether it may pass. */
import type { ResolvedRequestOptions } from "../client/options.js";
import type { SecureChannel } from "../client/secure-channel.js";
import { Admission } from "../http/admission.js";
import type { Ticket } from "../http/admission.js";
import type { RequestFormatError, RequestHead } from "../http/http-request.js";
import { errorKind } from "../http/error-kind.js";
import { KeyGuesses } from "../http/key-guesses.js";
import { Refusal } from "../http/refusal.js";
import type { SecureBuffer } from "../memory/secure-buffer.js";
import { errorAnswer, json } from "./answer.js";
import type { Answer } from "./answer.js";
import type { AttestationView } from "./attestation-view.js";
import { complete } from "./completion.js";
import type { Admitted, Outcome } from "./connection.js";
import { answerFor } from "./error-answer.js";
import type { Metrics } from "./metrics.js";
import { accessHeaders, localKey, originHeaders, preflight, refusedByName, unknownKey } from "./request-access.js";
import type { AccessSettings } from "./request-access.js";

/** Sizes, statuses and times; nothing of a request's content. */
export interface AccessEntry {
  readonly route: "chat_completions" | "models" | "healthz" | "attestation" | "metrics" | "other";
  /** 0 when the client went away before there was an answer. */
  readonly status: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly milliseconds: number;
}

export interface RouteSettings {
  readonly channel: SecureChannel;
  readonly request: ResolvedRequestOptions;
  readonly access: AccessSettings;
  readonly models: readonly string[];
  readonly maxBodyBytes: number;
  readonly maxRequests: number;
  readonly maxRequestsPerKey: number;
  readonly attestation: AttestationView;
  readonly metrics: Metrics;
  readonly log: (message: string) => void;
  readonly accessLog: ((entry: AccessEntry) => void) | undefined;
  readonly isStopping: () => boolean;
}

/** The headers that are looked at. */
export const wantedHeaders = [
  ...accessHeaders,
  "accept",
  "connection",
  "content-encoding",
  "content-type",
  "expect",
] as const;

type Route = AccessEntry["route"];

const routes: Readonly<Record<string, Exclude<Route, "other">>> = {
  "/v1/chat/completions": "chat_completions",
  "/v1/models": "models",
  "/healthz": "healthz",
  "/attestation": "attestation",
  "/metrics": "metrics",
};

export class Routes {
  readonly #settings: RouteSettings;
  readonly #admission: Admission;
  readonly #guesses = new KeyGuesses();
  readonly #startedAt = Math.floor(Date.now() / 1000);

  constructor(settings: RouteSettings) {
    this.#settings = settings;
    this.#admission = new Admission(settings);
  }

  /** Never throws. */
  admit(head: RequestHead): Admitted {
    const start = performance.now();
    const route = Object.hasOwn(routes, head.path) ? (routes[head.path] ?? "other") : "other";
    const over = (outcome: Outcome): void => {
      const milliseconds = Math.round(performance.now() - start);
      this.#settings.metrics.request(route, outcome, milliseconds);
      this.#settings.accessLog?.({ route, milliseconds, ...outcome });
    };
    const byName = refusedByName(head, this.#settings.access);
    // What an allowed page may not read it cannot show: so these headers are on refusals too.
    const withOrigin = (answer: Answer): Answer => ({
      ...answer,
      headers: { ...answer.headers, ...(byName === undefined ? originHeaders(head) : {}) },
    });
    const settled = (answer: Answer): Admitted => {
      const refused = withOrigin(answer);
      return { maxBodyBytes: 0, refused, answer: () => Promise.resolve(refused), over };
    };
    if (byName !== undefined) return settled(byName);
    if (head.method === "OPTIONS" && head.headers.has("access-control-request-method")) return settled(preflight(head));
    const key = localKey(head, this.#settings.access);
    if (key === null && route !== "healthz") {
      const last = head.headers.has("authorization");
      return { ...settled(unknownKey(last ? this.#guesses.count() : 0)), last };
    }
    if (route !== "chat_completions") return settled(this.#read(route, head));
    let ticket: Ticket;
    try {
      this.#checkCompletion(head);
      ticket = this.#admission.admit(key ?? 0);
    } catch (error) {
      return settled(this.#answerFor(error));
    }
    return {
      maxBodyBytes: this.#settings.maxBodyBytes,
      answer: async (body, signal) => withOrigin(await this.#complete(ticket, body, signal)),
      over: (outcome) => {
        ticket.leave();
        over(outcome);
      },
    };
  }

  /** The answer to what is no request. */
  refuse(error: RequestFormatError | Refusal): Answer {
    return this.#answerFor(error);
  }

  async #complete(ticket: Ticket, body: SecureBuffer | undefined, signal: AbortSignal): Promise<Answer> {
    const { channel, request, attestation, metrics } = this.#settings;
    try {
      if (body === undefined || body.length === 0) throw new Refusal(400, "The request has no body.");
      ticket.run();
      return await complete(
        body,
        {
          channel,
          request,
          opened: (metadata) => {
            attestation.answered(metadata);
            const { attestation_report: report } = metadata;
            metrics.attestation(report === undefined ? "not_looked_at" : report.verified ? "verified" : codeOf(report));
          },
        },
        signal,
      );
    } catch (error) {
      body?.dispose();
      const before = attestation.report;
      attestation.failed(error);
      if (attestation.report !== undefined && attestation.report !== before) {
        metrics.attestation(codeOf(attestation.report));
      }
      return this.#answerFor(error, signal);
    }
  }

  #answerFor(error: unknown, signal?: AbortSignal): Answer {
    const answer = answerFor(error);
    if (answer !== undefined) return answer;
    if (signal?.aborted !== true) {
      // The message of an unforeseen error might quote what it was working on: only its kind is told.
      this.#settings.log(`internal error (${errorKind(error)})`);
    }
    return errorAnswer(500, "INTERNAL", "The proxy failed.");
  }

  #checkCompletion({ method, headers, contentLength, chunked }: RequestHead): void {
    if (this.#settings.isStopping()) throw new Refusal(503, "The proxy is stopping.", { "retry-after": "5" });
    if (method !== "POST") throw new Refusal(405, "Use POST.", { allow: "POST" });
    const type = headers.get("content-type")?.split(";", 1)[0]?.trim().toLowerCase();
    if (type !== "application/json") throw new Refusal(415, "Content-Type must be application/json.");
    if ((headers.get("content-encoding") ?? "identity").toLowerCase() !== "identity") {
      throw new Refusal(415, "Content-Encoding is not supported: send the JSON as it is.");
    }
    if (!chunked && (contentLength ?? 0) === 0) throw new Refusal(400, "The request has no body.");
  }

  /** All that is only read. */
  #read(route: Exclude<Route, "chat_completions">, head: RequestHead): Answer {
    if (route === "other") return notOffered(head.path);
    if (head.method !== "GET" && head.method !== "HEAD") {
      return errorAnswer(405, "INVALID_REQUEST", "Use GET.", { allow: "GET, HEAD" });
    }
    switch (route) {
      case "models":
        return json(200, { object: "list", data: this.#settings.models.map((id) => this.#model(id)) });
      case "healthz": {
        const stopping = this.#settings.isStopping();
        return json(stopping ? 503 : 200, {
          status: stopping ? "stopping" : "ok",
          requests_under_way: this.#admission.underWay,
        });
      }
      case "attestation":
        return this.#settings.attestation.answer(prefersPage(head.headers.get("accept")));
      case "metrics":
        return this.#settings.metrics.answer();
    }
  }

  #model(id: string): object {
    return { id, object: "model", created: this.#startedAt, owned_by: "nomyo" };
  }
}

function codeOf({ fault, code }: { readonly fault?: string; readonly code?: string }): string {
  return fault ?? code ?? "unknown";
}

/** A browser names text/html first; programs say JSON, anything, or nothing. */
function prefersPage(accept: string | undefined): boolean {
  const types = (accept ?? "").split(",").map((type) => (type.split(";", 1)[0] ?? "").trim().toLowerCase());
  const page = types.indexOf("text/html");
  const data = types.indexOf("application/json");
  return page >= 0 && (data < 0 || page < data);
}

/** What to do in the popular SDKs so that they ask for what is offered. */
const cures: Readonly<Record<string, string>> = {
  "/v1/responses":
    "The Responses API is not offered, since the protocol seals chat completions only. Use the Chat Completions API: " +
    "client.chat.completions.create() of the openai package; openai.chat(model) of @ai-sdk/openai, or " +
    "@ai-sdk/openai-compatible; " +
    'useResponsesApi: false of LangChain; setOpenAIAPI("chat_completions") of OpenAI Agents.',
  "/v1/completions":
    "The old Completions API is not offered, since the protocol seals chat completions only. Use " +
    "client.chat.completions.create() " +
    "of the openai package, ChatOpenAI instead of OpenAI in LangChain, openai.chat(model) of @ai-sdk/openai.",
  "/v1/embeddings":
    "Embeddings are not offered: the protocol seals chat completions only. Give your program another base URL for " +
    "embeddings than for " +
    "chat (LangChain: configuration.baseURL of OpenAIEmbeddings; Open WebUI: RAG_OPENAI_API_BASE_URL), such as a " +
    "model on this machine.",
};

function notOffered(path: string): Answer {
  const offered = "This proxy offers POST /v1/chat/completions, GET /v1/models, /healthz, /attestation and /metrics.";
  const withVersion = path.startsWith("/v1/") ? path : `/v1${path}`;
  const cure = Object.hasOwn(cures, path) ? cures[path] : undefined;
  const hint =
    withVersion !== path && (Object.hasOwn(routes, withVersion) || Object.hasOwn(cures, withVersion))
      ? " The base URL ends with /v1: http://127.0.0.1:PORT/v1."
      : "";
  return errorAnswer(404, "NOT_OFFERED", `${cure === undefined ? "" : `${cure} `}${offered}${hint} Nothing was sent.`);
}
