/** Numbers for Prometheus (its text format, version 0.0.4): counts, sizes and times; no content, no ids, no models. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { phaseChannel, retryChannel } from "../client/diagnostics.js";
import type { PhaseTrace } from "../client/diagnostics.js";
import { memoryInfo } from "../memory/protection.js";
import type { Answer } from "./answer.js";
import type { Outcome } from "./connection.js";

/** Upper bounds, in seconds. */
const BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 600];

class Histogram {
  readonly #counts = BUCKETS.map(() => 0);
  #count = 0;
  #sum = 0;

  add(seconds: number): void {
    this.#count += 1;
    this.#sum += seconds;
    BUCKETS.forEach((bound, at) => {
      if (seconds <= bound) this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    });
  }

  lines(name: string, labels: string): string[] {
    const comma = labels === "" ? "" : `${labels},`;
    const plain = labels === "" ? "" : `{${labels}}`;
    return [
      ...BUCKETS.map((bound, at) => `${name}_bucket{${comma}le="${bound}"} ${this.#counts[at] ?? 0}`),
      `${name}_bucket{${comma}le="+Inf"} ${this.#count}`,
      `${name}_sum${plain} ${this.#sum}`,
      `${name}_count${plain} ${this.#count}`,
    ];
  }
}

export class Metrics {
  /** By labels. */
  readonly #requests = new Map<string, number>();
  readonly #attestation = new Map<string, number>();
  readonly #durations = new Histogram();
  readonly #phases = new Map<string, Histogram>();
  readonly #connections: () => number;
  #bytesIn = 0;
  #bytesOut = 0;
  #retries = 0;
  readonly #onPhase = (message: unknown): void => {
    const { phase, milliseconds } = message as PhaseTrace;
    const times = this.#phases.get(phase) ?? new Histogram();
    this.#phases.set(phase, times);
    times.add(milliseconds / 1000);
  };
  readonly #onRetry = (): void => {
    this.#retries += 1;
  };

  /** Phases and retries are those of all clients in this process. `connections`: how many are open. */
  constructor(connections: () => number) {
    this.#connections = connections;
    subscribe(phaseChannel.name, this.#onPhase);
    subscribe(retryChannel.name, this.#onRetry);
  }

  stop(): void {
    unsubscribe(phaseChannel.name, this.#onPhase);
    unsubscribe(retryChannel.name, this.#onRetry);
  }

  request(route: string, { status, bytesIn, bytesOut }: Outcome, milliseconds: number): void {
    count(this.#requests, `route="${route}",status="${status}"`);
    this.#bytesIn += bytesIn;
    this.#bytesOut += bytesOut;
    if (route === "chat_completions") this.#durations.add(milliseconds / 1000);
  }

  /** `outcome`: `verified`, `not_looked_at`, or the code of what did not verify. */
  attestation(outcome: string): void {
    count(this.#attestation, `outcome="${outcome}"`);
  }

  answer(): Answer {
    const { stats, threads, degraded } = memoryInfo();
    const lines = [
      ...metric("requests_total", "counter", "Requests answered; status 0: the client went away.", this.#requests),
      ...metric("attestation_total", "counter", "What came of the attestation of answers.", this.#attestation),
      ...one("retries_total", "counter", "Attempts that failed and were repeated.", this.#retries),
      ...one("received_bytes_total", "counter", "Bytes of requests' bodies.", this.#bytesIn),
      ...one("sent_bytes_total", "counter", "Bytes of answers' bodies.", this.#bytesOut),
      ...one("connections", "gauge", "Connections of clients that are open.", this.#connections()),
      ...one("locked_bytes", "gauge", "Memory of this process that is locked for secrets.", stats.bytesLocked),
      ...one("pool_bytes", "gauge", "Of the pool, what is in use.", stats.bytesInUse),
      ...one("threads", "gauge", "Threads of the package; each has a locked stack in the pool.", threads.started),
      ...one("jobs", "gauge", "Jobs of those threads, running or waiting.", threads.running + threads.queued),
      ...one("memory_degraded", "gauge", "1: some memory for secrets could not be locked.", degraded ? 1 : 0),
      ...header("request_duration_seconds", "histogram", "Time from a completion's head to its answer's end."),
      ...this.#durations.lines("nomyo_proxy_request_duration_seconds", ""),
      ...header("phase_duration_seconds", "histogram", "Time of each phase of an attempt."),
      ...[...this.#phases].flatMap(([phase, times]) =>
        times.lines("nomyo_proxy_phase_duration_seconds", `phase="${phase}"`),
      ),
    ];
    return {
      status: 200,
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
      body: Buffer.from(`${lines.join("\n")}\n`),
    };
  }
}

function count(counts: Map<string, number>, labels: string): void {
  counts.set(labels, (counts.get(labels) ?? 0) + 1);
}

function header(name: string, type: string, help: string): string[] {
  return [`# HELP nomyo_proxy_${name} ${help}`, `# TYPE nomyo_proxy_${name} ${type}`];
}

function metric(name: string, type: string, help: string, values: ReadonlyMap<string, number>): string[] {
  return [
    ...header(name, type, help),
    ...[...values].map(([labels, value]) => `nomyo_proxy_${name}{${labels}} ${value}`),
  ];
}

function one(name: string, type: string, help: string, value: number): string[] {
  return [...header(name, type, help), `nomyo_proxy_${name} ${value}`];
}
